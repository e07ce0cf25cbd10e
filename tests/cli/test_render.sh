# test_render.sh - ptv3 render: pictures are written, and nothing on failure.
. tests/cli/lib.sh
cloud=demo/val/ign_77060_627760.las
mkdir "$work/o"

png() { [ "$(head -c 8 "$1" | od -An -tx1 | tr -d ' ')" = 89504e470d0a1a0a ]; }
size() { # size FILE WIDTH HEIGHT, from the PNG's header
  [ "$(od -An -tu1 -j16 -N8 "$1" | awk '{print $3 * 256 + $4, $7 * 256 + $8}')" = "$2 $3" ]
}

run render $cloud -o "$work/o/top.png" --width 320 --height 200
check "from above" is 0
check "a PNG" png "$work/o/top.png"
check "of the size asked for" size "$work/o/top.png" 320 200

run render $cloud -o "$work/o/side.png" --view perspective --by height --width 300 --height 300 -q
check "in perspective" is 0
check "--quiet says nothing" silent

cp "$work/o/side.png" "$work/first.png"
run render $cloud -o "$work/o/side.png" --view perspective --by height --width 300 --height 300 -q --threads 1
check "the same picture on one thread" cmp -s "$work/o/side.png" "$work/first.png"

run render $cloud -o "$work/o/error.png" --by error --prediction $cloud --width 200 --height 200
check "labels against themselves" is 0

run render $cloud -o "$work/o/label.png" --by label --names zero,one,ground --width 200 --height 200
check "names of classes" is 0

# labels are renumbered by the configuration: codes 2 and 6 are classes 0 and 2 of small.py
printf 'x y z label\n0 0 0 2\n1 0 0 6\n2 1 0 2\n3 3 0 6\n' >"$work/codes.xyz"
printf 'x y z label\n0 0 0 0\n1 0 0 2\n2 1 0 0\n3 3 0 2\n' >"$work/classes.xyz"
printf '\000\000\002\002' >"$work/p.bin"
run render "$work/codes.xyz" -o "$work/e1.png" --by error --prediction "$work/p.bin" --config tests/small.py --width 64 --height 64 --no-legend
check "errors by a configuration's numbering" is 0
run render "$work/classes.xyz" -o "$work/e2.png" --by error --prediction "$work/p.bin" --width 64 --height 64 --no-legend
check "a prediction of one byte a point" is 0
check "are those of the classes" cmp -s "$work/e1.png" "$work/e2.png"
run render "$work/codes.xyz" -o "$work/e3.png" --by error --prediction "$work/p.bin" --width 64 --height 64 --no-legend
check "and others without it" fails cmp -s "$work/e1.png" "$work/e3.png"
run predict tests/small.py --weight random:1 $cloud -o "$work/c.npy" -q
run predict tests/small.py --weight random:1 $cloud -o "$work/c.las" -q
run render $cloud -o "$work/e4.png" --by error --prediction "$work/c.npy" --config tests/small.py --width 64 --height 64
run render $cloud -o "$work/e5.png" --by error --prediction "$work/c.las" --config tests/small.py --width 64 --height 64
check "LAS codes become classes again" cmp -s "$work/e4.png" "$work/e5.png"

run render $cloud -o "$work/o/no.png" --by color
check "colours that are not there" is 4
check "are named" says "no colours"
check "and leave no file" absent "$work/o/no.png"

run render $cloud
check "a missing -o is wrong use" is 2
run render $cloud -o "$work/o/no.png" --width 8
check "too small" is 2
run render $cloud -o "$work/o/no.png" --width 100000
check "too large" is 2
run render $cloud -o "$work/o/no.png" --elevation 91
check "an angle that is none" is 2
run render $cloud -o "$work/o/no.png" --memory 1M
check "too little memory" is 3
run render "$work/none.las" -o "$work/o/no.png"
check "no cloud" is 4
printf '0 0 0\n' >"$work/one.xyz"
run render $cloud -o "$work/o/no.png" --prediction "$work/one.xyz"
check "no labels in the prediction" is 4
run render "$work/one.xyz" -o "$work/o/one.png" --width 64 --height 64
check "a single point" is 0
printf '0 0 0\nnan 0 0\n1 1 1\n5 2 7\n' >"$work/nan.xyz"
run render "$work/nan.xyz" -o "$work/o/nan.png" --width 64 --height 64
check "a point that is not a number" is 0
check "is warned about" says "warning"
run render $cloud -o "$work/no/such.png" --width 64 --height 64
check "a folder that is not there" is 1
check "no file is left over" only "$work/o" top.png side.png error.png label.png one.png nan.png

finish
