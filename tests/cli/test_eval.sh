# test_eval.sh - ptv3 eval: scores, and the files they are written to.
. tests/cli/lib.sh
mkdir "$work/o"
model="tests/small.py --weight random:1"

run eval $model --scenes --confusion --json "$work/o/e.json" --csv "$work/o/e.csv"
check "the demonstration's scene" is 0
check "scores of all" prints '^mIoU 0\.[0-9]*  mAcc 0\.[0-9]*  allAcc 0\.[0-9]*  over 1 scenes'
check "scores of classes" prints '^vegetation  *16577 '
check "scores of scenes" prints '^ign_77060_627760  *56411 '
check "the confusion matrix" prints '^2 building '
check "JSON" grep -q '"protocol": "validation"' "$work/o/e.json"
check "CSV" grep -q '^scene,ign_77060_627760,56411,' "$work/o/e.csv"
check "CSV has the confusion matrix" [ "$(awk -F, '$1 == "confusion" { n += $3 } END { print n }' "$work/o/e.csv")" = 56411 ]
check "rows of one length" [ "$(awk -F, '{ print NF }' "$work/o/e.csv" | sort -u)" = 9 ]
check "points counted are those with a label" [ "$(awk -F, '$1 == "class" { n += $3 } END { print n }' "$work/o/e.csv")" = 56411 ]
check "the confusion matrix has them all" [ "$(sed -n '/confusion/,$p' "$work/o/e.json" | tr -c '0-9\n' ' ' | awk '{ for (i = 1; i <= NF; i++) n += $i } END { print n }')" = 56411 ]
check "nothing is coloured in a pipe" no_escapes

run eval $model --json "$work/o/one.json" --threads 1 -q
check "--quiet" silent
check "scores do not depend on threads" [ "$(grep -v seconds "$work/o/one.json")" = "$(grep -v seconds "$work/o/e.json")" ]

mkdir -p "$work/data/val"
cp demo/val/*.las "$work/data/val/a.las"
cp demo/val/*.las "$work/data/val/b.las"
run eval $model --data-root "$work/data" -q --scenes
check "another folder" is 0
check "with two scenes" prints 'over 2 scenes'

run eval $model --data-root "$work/none"
check "a folder that is not there" is 4
check "is named" says "none"
mkdir -p "$work/empty/val"
run eval $model --data-root "$work/empty"
check "a folder without scenes" is 4
printf '0 0 0 1\n1 1 1 0\n' >"$work/empty/val/x.xyz"
head -c 3000 demo/val/*.las >"$work/data/val/c.las"
run eval $model --data-root "$work/data" --json "$work/o/no.json"
check "a damaged scene" is 4
check "is named" says "c.las"
printf '_base_ = "%s/tests/small.py"\ndata = dict(val=dict(learning_map=None))\n' "$PWD" >"$work/raw.py"
run eval "$work/raw.py" --weight random:1 --json "$work/o/no.json"
check "labels that are no classes" is 4
check "are told with the scene" says "ign_77060_627760.las.*the label [0-9]* of point"
check "and what to do" says "learning_map"
run eval $model --json "$work/o/no.txt"
check "a report of an unknown kind" is 2
run eval $model --json "$work/no/such.json" -q
check "a folder that is not there for the report" is 1
run eval tests/small.py
check "missing weights" is 2
check "failures left no file" only "$work/o" e.json e.csv one.json

finish
