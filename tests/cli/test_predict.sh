# test_predict.sh - ptv3 predict: what is written, for which input, and what is refused.
. tests/cli/lib.sh
cloud=demo/val/ign_77060_627760.las
mkdir "$work/o"
model="tests/small.py --weight random:1"

run predict $model $cloud -o "$work/o/a.npy"
check "labels" is 0
check "untrained weights are told" says "not trained"
check "shares of classes are shown" prints "vegetation"
check "as many labels as points" [ "$(wc -c <"$work/o/a.npy")" = $((128 + 4 * 59606)) ]

run predict $model $cloud -o "$work/o/b.npy" --threads 1 --quiet
check "--quiet" is 0
check "--quiet says nothing" silent
check "--quiet prints nothing" [ ! -s "$out" ]
check "labels do not depend on threads" cmp -s "$work/o/a.npy" "$work/o/b.npy"

run predict tests/small.py --weight random:2 $cloud -o "$work/o/c.npy" -q
check "another seed gives other labels" fails cmp -s "$work/o/a.npy" "$work/o/c.npy"

run predict $model $cloud -o "$work/o/p.npy" --probabilities -q
check "--probabilities" is 0
check "three numbers a point" [ "$(wc -c <"$work/o/p_probabilities.npy")" = $((128 + 12 * 59606)) ]

run predict $model $cloud -o "$work/o/d.las" -q
check "LAS" is 0
run info "$work/o/d.las"
check "LAS has the points" prints "points *59606"
check "LAS has the place" prints "770600.000 to 770650.000"
run render "$work/o/d.las" -o "$work/o/d.png" --by error --prediction "$work/o/d.las" --width 64 --height 64
check "LAS has the labels" is 0

run predict $model $cloud -o "$work/o/e.ply" -q
check "PLY" is 0
check "PLY has the points" grep -aq '^element vertex 59606' "$work/o/e.ply"
check "PLY has a confidence" grep -aq '^property float confidence' "$work/o/e.ply"

mkdir "$work/o/dir"
awk 'BEGIN { for (i = 0; i < 200; i++) print i % 20 / 2, int(i / 20) / 2, i % 7 / 10, i / 200 }' >"$work/p.xyz"
cp "$work/p.xyz" "$work/q.xyz"
run predict $model "$work/p.xyz" "$work/q.xyz" --columns x,y,z,strength -o "$work/o/dir" --format npy -q
check "two clouds into a folder" is 0
check "a file for each" only "$work/o/dir" p.npy q.npy

# scans without a header, of 3, 5 and 6 floats: 60 numbers of 0, 1 and 2
for i in 0 1 2 3 4 5 6 7 8 9; do i32 0 1065353216 1073741824 0 0 1065353216; done >"$work/s.bin"
run predict $model "$work/s.bin" --floats 3 --fill strength=0 -o "$work/s3.npy" -q
check "scans of three floats" [ "$(wc -c <"$work/s3.npy")" = $((128 + 4 * 20)) ]
run predict $model "$work/s.bin" --floats 5 -o "$work/s5.npy" -q
check "of five" [ "$(wc -c <"$work/s5.npy")" = $((128 + 4 * 12)) ]
run predict $model "$work/s.bin" --columns x,y,z,_,strength,_ -o "$work/s6.npy" -q
check "of six, named" [ "$(wc -c <"$work/s6.npy")" = $((128 + 4 * 10)) ]
run predict $model "$work/s.bin" --floats 7 -o "$work/s7.npy"
check "not of seven" is 4
run predict $model $cloud --floats 5 -o "$work/s8.npy"
check "nor for LAS" is 2

printf 'nan 0 0 0.5\n' | cat - "$work/p.xyz" >"$work/n.xyz"
run predict $model "$work/n.xyz" --columns x,y,z,strength -o "$work/o/n.npy"
check "an unusable point" is 0
check "keeps its row" [ "$(wc -c <"$work/o/n.npy")" = $((128 + 4 * 201)) ]
check "and has the label -1" [ "$(od -An -td4 -j128 -N4 "$work/o/n.npy" | tr -d ' ')" = -1 ]
check "the others are as without it" [ "$(od -An -td4 -j132 "$work/o/n.npy" | md5sum)" = "$(od -An -td4 -j128 "$work/o/dir/p.npy" | md5sum)" ]

printf '1 2 3 0\nnan 2 3 0\n1 1e300 2 0\n' >"$work/h.xyz"
run predict $model "$work/h.xyz" --columns x,y,z,strength -o "$work/h.npy"
check "a number beyond 32 bits" is 0
check "is set aside too" says "2 points set aside"
check "and one point is enough" [ "$(od -An -td4 -j132 "$work/h.npy" | tr -d ' \n')" = -1-1 ]

cut -d' ' -f1-3 "$work/p.xyz" >"$work/bare.xyz"
run predict $model "$work/bare.xyz" -o "$work/o/no.npy"
check "a feature that is not there" is 4
check "is named" says "strength"
check "and a way out is given" says "\-\-fill strength"
run predict $model "$work/bare.xyz" -o "$work/o/fill.npy" --fill strength=0.5 -q
check "--fill" is 0

run predict $model $cloud
check "a missing -o is wrong use" is 2
run predict tests/small.py $cloud -o "$work/o/no.npy"
check "missing weights are wrong use" is 2
run predict $model $cloud -o "$work/o/no.xyz"
check "an output that is not offered" is 2
run predict tests/small.py --weight random:x $cloud -o "$work/o/no.npy"
check "a seed that is none" is 2
run predict $model $cloud -o "$work/o/no.las" --las-codes 1,2
check "too few codes" is 2
run predict $model $cloud -o "$work/o/no.las" --las-codes 1,2,300
check "a code that is none" is 2
mkdir "$work/other"
cp "$work/p.xyz" "$work/other/p.xyz"
run predict $model "$work/p.xyz" "$work/other/p.xyz" --columns x,y,z,strength -o "$work/o/dir" --format npy
check "two results of one name" is 2
check "are named" says "p.npy"
cp $cloud "$work/other/in.las"
run predict $model "$work/other/in.las" -o "$work/other/"
check "a result in place of its cloud" is 2
check "leaves the cloud" cmp -s $cloud "$work/other/in.las"
run predict $model "$work/none.las" -o "$work/o/no.las"
check "a cloud that is not there" is 4
run predict $model $cloud -o "$work/o/no.las" --memory 2M
check "too little memory" is 3
run predict $model $cloud -o "$work/no/such/x.npy" -q
check "a folder that is not there" is 1

json='{"seg_head.weight":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
{
  i32 ${#json} 0
  printf '%s' "$json"
  i32 1065353216 1073741824
} >"$work/w.safetensors"
run predict tests/small.py --weight "$work/w.safetensors" $cloud -o "$work/o/no.las"
check "weights of another model" is 5
run info "$work/w.safetensors"
check "info does not take them for ours" prints "not a PT-v3m1"
run predict tests/small.py --weight random:1 --options model.num_classes=4 data.num_classes=4 data.names=[a,b,c,d] las_codes=[2,5,6,1] $cloud -o "$work/o/four.npy" -q
check "options reach the model" is 0

check "failures left no file" only "$work/o" a.npy b.npy c.npy p.npy p_probabilities.npy d.las d.png e.ply dir n.npy fill.npy four.npy

# an interrupt: the run ends with 130 and leaves nothing. The reference kernels are slow, so
# that there is something to interrupt.
awk 'BEGIN { for (i = 0; i < 240000; i++) print i % 600 * 0.6, int(i / 600) * 0.6, i % 7 / 10, i / 240000 }' >"$work/large.xyz"
PTV3_KERNELS=ref "$ptv3" predict $model "$work/large.xyz" --columns x,y,z,strength -o "$work/large.npy" -q --threads 1 >"$out" 2>"$err" &
pid=$!
sleep 0.7
kill -INT $pid
wait $pid
status=$?
check "an interrupt" is 130
check "leaves no file" absent "$work/large.npy"

finish
