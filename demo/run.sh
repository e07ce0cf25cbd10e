#!/bin/sh
# run.sh PTV3 OUT - classify the cloud beside this file, draw the result and score it.
set -eu
ptv3=$1
out=$2
here=$(dirname "$0")
cloud=$here/val/ign_77060_627760.las
weights=$here/../configs/aerial/semseg-pt-v3-tiny.safetensors
mkdir -p "$out"

echo "The cloud: 50 m x 50 m of an airborne laser scan (IGN LiDAR HD, Licence Ouverte 2.0)"
"$ptv3" info "$cloud"
"$ptv3" render "$cloud" -o "$out/height.png" --by height --view perspective --quiet
echo
"$ptv3" predict "$here/demo.py" --weight "$weights" "$cloud" -o "$out/classified.las"
"$ptv3" predict "$here/demo.py" --weight "$weights" "$cloud" -o "$out/labels.npy" --quiet
"$ptv3" render "$cloud" -o "$out/classes.png" --prediction "$out/labels.npy" \
  --config "$here/demo.py" --view perspective --quiet
"$ptv3" render "$cloud" -o "$out/errors.png" --by error --prediction "$out/labels.npy" \
  --config "$here/demo.py" --view perspective --quiet
echo
echo "Against the publisher's classification, of a scene that was not among those trained on:"
"$ptv3" eval "$here/demo.py" --weight "$weights" --options data.val.data_root="$here" --quiet
echo
echo "Written:"
echo "  $out/classified.las  the input with its classification and a confidence"
echo "  $out/classes.png     the classes"
echo "  $out/errors.png      where they are not the publisher's"
echo "  $out/height.png      the cloud by height"
