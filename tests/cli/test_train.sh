# test_train.sh - ptv3 train on small made scenes: its files, what it refuses and how, and that
# neither signals nor kill -9 show in the result.
. tests/cli/lib.sh
export OMP_WAIT_POLICY=passive

# ---- scenes: a floor and a box above it, classes 0 and 1; some points without a label ----
scene() { # SEED FILE
  awk -v seed="$1" 'BEGIN {
    srand(seed)
    n = 2000
    print "ply\nformat ascii 1.0\nelement vertex " n "\nproperty float x\nproperty float y"
    print "property float z\nproperty int label\nend_header"
    for (i = 0; i < n; i++) {
      box = i % 3 == 0
      printf "%.4f %.4f %.4f %d\n", box ? 1 + rand() : 4 * rand(),
             box ? 1 + rand() : 4 * rand(), box ? 1 : 0.02 * rand(), rand() < 0.05 ? -1 : box
    } }' >"$2"
}
mkdir -p "$work/data/train" "$work/data/val"
for i in 1 2 3 4 5; do scene $i "$work/data/train/t$i.ply"; done
for i in 1 2; do scene 10$i "$work/data/val/v$i.ply"; done
config=$work/tiny.py
sed "s|DATA|$work/data|" tests/cli/train.py >"$config"

train() { # FOLDER ARGS...
  to=$1
  shift
  run train "$config" --save-path "$to" --threads 1 "$@"
}
# begin FOLDER ARGS...: a training in the background, until its first step is in the table
begin() {
  folder=$1
  shift
  "$ptv3" train "$config" --save-path "$folder" --threads 1 "$@" >"$out" 2>"$err" &
  pid=$!
  i=0
  while [ $i -lt 200 ] && ! grep -qs '^1,' "$folder/train.csv"; do
    sleep 0.05
    i=$((i + 1))
  done
}
same() { cmp -s "$1/model/model_last.pth" "$2/model/model_last.pth"; }
no_temporary() { [ -z "$(find "$work" -name '*.tmp*')" ]; }
# Each step and each validation is logged once.
logged() { # FOLDER STEPS VALIDATIONS
  [ "$(awk -F, 'NR > 1 { print $1 }' "$1/train.csv" | tr '\n' ' ')" = "$(seq "$2" | tr '\n' ' ')" ] &&
    [ "$(awk -F, 'NR > 1 { print $1 }' "$1/val.csv" | tr '\n' ' ')" = "$(seq "$3" | tr '\n' ' ')" ]
}

# ---- wrong use ----
run train --help
check "help" is 0
check "says how to use it" prints '^usage: ptv3 train CONFIG'
check "--resume is described" prints '--resume'
run train
check "no configuration" is 2
run train "$config" --sav-path x
check "a misspelt option" is 2
check "its correction" says "'--save-path'"
run train "$config" --on-nan look
check "a choice that is none" is 2
run train "$work/no.py"
check "a configuration that is not there" is 4

wrong() { # STATUS TEXT KEY=VALUE...
  wanted=$1
  text=$2
  shift 2
  train "$work/wrong" --options "$@"
  check "$1 is $wanted" is "$wanted"
  check "$1 is told" says "$text"
  check "$1: nothing is written" absent "$work/wrong"
}
wrong 4 "'Foo': not an optimiser here" optimizer.type=Foo
wrong 4 "AdamW has no option 'lrr'" optimizer.lrr=0.1
train "$work/wrong" --options epochs=5 optimizer.type=Foo
check "a misspelt key is told" says "'epochs' is not used by anything"
check "once, and no other" [ "$(grep -c 'not used' "$err")" = 1 ]
wrong 4 "'Foo': not a schedule here" scheduler.type=Foo
wrong 4 "must be a multiple of eval_epoch" epoch=4
wrong 4 "batch_size" batch_size=0
wrong 4 "make them equal" model.num_classes=3
wrong 4 "there is no folder '$work/none/train'" data.train.data_root="$work/none"
wrong 4 "there is no folder '$work/data/none'" data.val.split=none
mkdir -p "$work/empty/train" "$work/empty/val"
train "$work/wrong" --data-root "$work/empty"
check "no scenes" is 4
check "is told" says "$work/empty"
train "$work/wrong" --weight "$work/none.pth"
check "weights that are not there" is 4
check "are named" says "none.pth"
head -c 20000 "$work/data/train/t3.ply" >"$work/half.ply"
mkdir -p "$work/damaged/train"
cp "$work/half.ply" "$work/damaged/train/half.ply"
train "$work/damaged/exp" --options data.train.data_root="$work/damaged"
check "a damaged scene" is 4
check "is named" says "half.ply"

# ---- where it cannot write ----
train "$config"
check "a file in place of the folder" is 1
check "is told" says "'$config' is not a folder"
train /proc/none
check "a folder that cannot be made" is 1
check "is told" says "cannot make the folder '/proc/none'"
where=$(pwd)
here() { # a folder whose name is one letter, in the folder it is called in
  cd "$work" && PATH_TO=$(cd "$where" && cd "$(dirname "$ptv3")" && pwd)/ptv3 &&
    "$PATH_TO" train "$config" --save-path m --threads 1 --stop-after 1 >"$out" 2>"$err"
  status=$?
  cd "$where" || exit 1
}
here
check "a folder of one letter" is 0
mkdir -p "$work/taken/model/model_last.pth"
train "$work/taken" --stop-after 1
check "a checkpoint that cannot be written" is 1
check "is named" says "model_last.pth"

# ---- a training, its files, and what reads its checkpoint ----
train "$work/long" --options epoch=24
check "a training" is 0
check "all its keys are known" fails says "not used"
check "its last line" prints '^60 steps, 3 epochs done, .*; best mIoU [01]\.[90]'
check "a loss of each evaluation" [ "$(awk -F, 'NR > 1 && $3 > 0 && $3 < 5' "$work/long/val.csv" | wc -l)" = 3 ]
check "and of each scene" grep -q 'Test: \[2/2\] Loss [0-9]' "$work/long/train.log"
check "lines of validation" says '^Val result: mIoU/mAcc/allAcc '
check "lines of classes" says '^Class_1-box Result: iou/accuracy '
check "nothing is coloured in a pipe" no_escapes
check "its files" only "$work/long" config.py events.out.tfevents.ptv3 model report.html train.csv train.log val.csv
check "its checkpoints" only "$work/long/model" model_best.pth model_last.pth
check "a row a step, a row a validation" logged "$work/long" 60 3
check "the log has the classes" grep -q 'Class_0-floor Result' "$work/long/train.log"
# In the words of Pointcept's trainer and hooks, in their order.
words() {
  awk '{ sub(/^\[[^]]* INFO ptv3\] /, ""); print }' "$1" >"$work/words"
  grep -q '^Save path: .*long$' "$work/words" && grep -qx 'Num params: [0-9]*' "$work/words" &&
    grep -qx '>* Start Training >*' "$work/words" &&
    grep -qx 'Train: \[1/3\]\[20/20\] Data [0-9.]* ([0-9.]*) Batch [0-9.]* ([0-9.]*) Remain 00:00:[0-9][0-9] loss: [0-9.]* Lr: 0.[0-9]\{5\}' "$work/words" &&
    grep -qx 'Train result: loss: [0-9.]* ' "$work/words" &&
    grep -A1 '^Currently Best mIoU: ' "$work/words" | grep -qx 'Saving checkpoint to: .*/long/model/model_last.pth' &&
    tail -n 1 "$work/words" | grep -qx 'Best mIoU: [01]\.[0-9]*'
}
check "the log in Pointcept's words" words "$work/long/train.log"
check "the report" grep -q '</svg>' "$work/long/report.html"

run config "$work/long/config.py"
cp "$out" "$work/kept.json"
run config "$config" --options epoch=24 save_path="$work/long"
check "config.py is the configuration that was trained" cmp -s "$out" "$work/kept.json"
run train "$work/long/config.py" --resume --threads 1
check "and goes on by itself" is 0
check "in its own folder" says "long/model/model_last.pth' is finished"

# The last validation of a training is what eval makes of its checkpoint.
scored() { # FOLDER ARGS...
  of=$1
  shift
  miou=$(awk -F, 'END { print $4 }' "$of/val.csv")
  run eval "$config" --weight "$of/model/model_last.pth" --json "$work/e.json" -q --threads 1 "$@"
  check "eval of the checkpoint" is 0
  check "its mIoU is that of the last validation ($miou)" awk -v a="$miou" \
    '/"miou"/ { gsub(/[^0-9.e-]/, ""); if (!n++) found = ($0 - a) * ($0 - a) < 1e-16 } END { exit !found }' \
    "$work/e.json"
}
scored "$work/long"
run predict "$config" --weight "$work/long/model/model_best.pth" "$work/data/val/v1.ply" \
  -o "$work/v1.ply" -q --threads 1
check "predict with it" is 0
check "a file is written" [ -s "$work/v1.ply" ]
run info "$work/long/model/model_last.pth"
check "info of it" is 0
check "the epoch" prints '^ *epoch *3$'
check "the network" prints 'enc_channels=(8, 16)'

train "$work/long" --resume --options epoch=24
check "--resume of a finished training" is 0
check "says so" says 'finished'
check "and logs nothing twice" logged "$work/long" 60 3
train "$work/none" --resume
check "--resume of none" is 4
check "names the checkpoint" says 'none/model/model_last.pth'
check "says what to do" says 'without --resume'
check "and makes no folder" absent "$work/none"

# ---- an encoder alone; weights of Pointcept 1.5.1 ----
encoder="model.backbone.enc_mode=True model.backbone_out_channels=24"
train "$work/encoder" --options $encoder epoch=6
check "an encoder alone" is 0
scored "$work/encoder" --options $encoder
blocks="model.backbone.enc_depths=[2,1] model.backbone.dec_depths=[2]"
train "$work/old" --compat 1.5.1 --options $blocks epoch=6
check "--compat 1.5.1" is 0
scored "$work/old" --compat 1.5.1 --options $blocks
train "$work/tuned" --weight "$work/old/model/model_last.pth" --compat 1.5.1 --stop-after 2 --options $blocks
check "goes on from such weights" is 0
train "$work/tuned" --resume --options $blocks
check "--resume goes on as it was begun" is 0
check "and says so" says "goes on as Pointcept 1.5.1's network, as which it was begun"
train "$work/three" --weight "$work/old/model/model_last.pth" --compat auto --stop-after 1 --options $blocks
check "--compat auto says what it takes" says "the weights are taken as Pointcept's of"
train "$work/begun" --stop-after 1
train "$work/begun" --resume --compat 1.5.1
check "--resume of a current one as 1.5.1" is 5
check "says what to do" says "resume without compat"

# ---- other classes ----
three="model.num_classes=3 data.num_classes=3 data.names=a,b,c"
train "$work/three" --weight "$work/long/model/model_last.pth" --options $three
check "another number of classes" is 5
check "names the head" says "seg_head.weight is \[2, 8\], the model wants \[3, 8\]"
train "$work/three" --weight "$work/long/model/model_last.pth" --allow-missing 'seg_head.*' --options $three
check "with a new head" is 0
check "with its classes" prints '^6 steps'

# ---- numbers that are not finite ----
wild="scheduler.max_lr=[1e30,1e30]"
train "$work/wild" --options $wild
check "a rate that diverges" is 4
check "is told with batch, step and scenes" says 'epoch 1, batch 2, step 2 (t[1-5], t[1-5]): .* not finite: first '
train "$work/skip" --on-nan skip --options $wild evaluate=False
check "--on-nan skip" is 0
check "is told" says 'epoch 1, batch 2 (t[1-5], t[1-5]): the loss or a gradient is not finite; left out'
check "and counted" prints '^1 steps, 3 epochs done.*, loss 1\..*, 5 batches left out'
check "the mean is of the others" says '^Train result: loss: 1\.'
check "no -nan in the tables" fails grep -q -e -nan "$work/skip/train.csv" "$work/skip/train.log"

# ---- memory ----
train "$work/small" --memory 1400K --readers 0
check "a budget that is too small" is 3
check "the least is named" says 'needs a memory budget of at least'
least=$(sed -n 's/.*needs a memory budget of at least \([0-9.]*\) \([KM]\)iB.*/\1\2/p' "$err")
tries=0 # a later batch may take more than the one that named it
while [ $status = 3 ] && [ -n "$least" ] && [ $tries -lt 5 ]; do
  train "$work/small" --memory "$least" --readers 0
  least=$(sed -n 's/.*needs a memory budget of at least \([0-9.]*\) \([KM]\)iB.*/\1\2/p' "$err")
  tries=$((tries + 1))
done
check "and does" is 0

# ---- stopped, interrupted, killed: the same checkpoint as never stopped ----
few="--options epoch=6"
began=$(date +%s%N)
train "$work/whole" $few --save-every 1
took=$((($(date +%s%N) - began) / 1000000)) # ms
check "never stopped" prints '^15 steps'

train "$work/stop" $few --stop-after 4
check "--stop-after" is 0
check "tells steps" prints '^4 steps, 0 epochs'
train "$work/stop" $few
check "without --resume" is 0
check "what is written over is told" says "stop.*--resume"
train "$work/stop" $few --stop-after 7
train "$work/stop" $few --resume
check "stopped at step 7 and resumed" same "$work/stop" "$work/whole"
check "all steps are logged" logged "$work/stop" 15 3

# ---- what would make another training of it ----
train "$work/other" $few --stop-after 4
train "$work/other" --resume --seed 5 $few
check "another seed" is 5
check "the one it had is named" says 'resume with --seed 3'
train "$work/other" --resume $few batch_size=1
check "other batches in the middle of an epoch" is 5
check "are told" says 'saved in epoch 1 after 4 batches, with batches of 2 scenes, now 1: what is left'
mkdir -p "$work/more"
cp -r "$work/data/train" "$work/data/val" "$work/more"
mv "$work/more/train/t5.ply" "$work/more/train/t9.ply"
train "$work/other" --resume $few --data-root "$work/more"
check "other scenes there" is 5
check "are told" says 'with other scenes, or in another order, in data.train'
train "$work/other" --resume $few --stop-after 1
check "the same ones" is 0
train "$work/other" --resume $few --data-root "$work/more"
check "other scenes between epochs" is 0
check "are told" says 'the epochs to come differ'
train "$work/short" --stop-after 1
train "$work/short" --resume --stop-after 1
check "the same configuration" fails says 'another training'
train "$work/short" --resume --stop-after 1 --options model.backbone.drop_path=0.1
check "another drop_path is told" says 'made with another model, .* from here on it is another training'
train "$work/short" --stop-after 1
train "$work/short" --resume --options epoch=6 eval_epoch=6
check "more epochs than the OneCycleLR has steps for" is 5
check "says what to do" says "is for 6 steps; 1 are done and 11 would follow: resume with"

# ---- what goes wrong on the way says where ----
cp -r "$work/more" "$work/broken"
head -c 20000 "$work/broken/train/t3.ply" >"$work/half.ply"
begin "$work/midway" --data-root "$work/broken" --options epoch=3000
cp "$work/half.ply" "$work/broken/train/t3.ply"
wait $pid
status=$?
check "a scene damaged on the way" is 4
check "is told with epoch, batch and step" says '^.*epoch [0-9]*, batch [0-9]*, step [0-9]*: .*t3'
check "what was done is saved" says 'saved; go on with --resume'

# signalled FOLDER SIGNAL MS ARGS...
signalled() {
  folder=$1
  signal=$2
  delay=$(awk -v ms="$3" 'BEGIN { printf "%.3f", ms / 1000 }')
  shift 3
  "$ptv3" train "$config" --save-path "$folder" --threads 1 "$@" >"$out" 2>"$err" &
  pid=$!
  sleep "$delay"
  kill -"$signal" $pid 2>/dev/null
  wait $pid 2>/dev/null
  status=$?
}
for signal in INT TERM; do
  begin "$work/$signal" --options epoch=60
  kill -$signal $pid
  wait $pid
  status=$?
  check "SIG$signal" is 130
  check "says that it saved" says 'saved; go on with --resume'
  check "a checkpoint is there" [ -s "$work/$signal/model/model_last.pth" ]
  train "$work/$signal" --options epoch=60 --resume --stop-after 2
  check "SIG$signal: goes on" is 0
done

# ---- one training a folder ----
begin "$work/shared" --save-every 1 --options epoch=60
train "$work/shared" --options epoch=60
check "a second training in the folder" is 1
check "is told what has it" says "shared' is in use by another training, process $pid: "
train "$work/shared" --resume --options epoch=60
check "--resume of one that runs" is 1
kill -KILL $pid
wait $pid 2>/dev/null
check "a kill leaves the file" [ -e "$work/shared/train.lock" ]
train "$work/shared" --resume --stop-after 1 --options epoch=60
check "but not the lock" is 0
check "which is removed at the end" absent "$work/shared/train.lock"

# 20 times at random moments; whenever a training comes to its end, it is compared and the
# next one is begun.
kills=0
tries=0
n=0
while [ $kills -lt 20 ] && [ $tries -lt 60 ]; do
  resume=
  [ -s "$work/kill$n/model/model_last.pth" ] && resume=--resume
  signalled "$work/kill$n" KILL $(awk -v s=$((tries * 7919 + 17)) -v t=$took \
    'BEGIN { srand(s); rand(); print int(5 + rand() * t * 0.6) }') $few --save-every 1 $resume
  tries=$((tries + 1))
  if [ $status = 137 ]; then
    kills=$((kills + 1))
  else
    check "killed training $n" same "$work/kill$n" "$work/whole"
    n=$((n + 1))
  fi
done
check "killed 20 times ($kills of $tries)" [ $kills = 20 ]
resume=
[ -s "$work/kill$n/model/model_last.pth" ] && resume=--resume
train "$work/kill$n" $few --save-every 1 $resume
check "after the last kill" is 0
check "the checkpoint is the same" same "$work/kill$n" "$work/whole"
check "the steps are logged once" logged "$work/kill$n" 15 3
check "no temporary file is left" no_temporary
: >"$work/kill$n/model/model_last.pth.tmp-1-0" # as a kill between naming and renaming leaves it
train "$work/kill$n" $few --resume
check "what a kill left is removed" no_temporary

finish
