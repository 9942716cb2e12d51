"""The parts of a batch script that are the same for all: shell that a person can read.

They know only variables and functions that `batch_script.py` writes above them, each value quoted,
and of SLURM's own variables those of version 20.11. They run under bash 4.2 and later.
"""

TALK = r"""
say() { printf '%s deltascale: %s\n' "$(date '+%F %T')" "$*"; }
"""

ENDED_BEFORE = r"""
# ---- Is there anything to do? Several allocations may belong to one launch.
successors() {  # ids of the jobs behind this one; they are written once all are in the queue
    awk -v own="$SLURM_JOB_ID" 'behind; $1 == own { behind = 1 }' "$state/jobs" 2>/dev/null
}
end_for_good() {  # the code that the work ended with: no later start does anything any more
    echo "$1" > "$state/ended"
    local later; later=$(successors)
    [ -z "$later" ] || scancel $later 2>/dev/null
    case $1 in 0|1) ;; *) echo "$1" > "$stopped" ;; esac
    exit "$1"
}
state_of() { scontrol show job -o "$1" 2>/dev/null | sed -n 's/.*JobState=\([A-Z_]*\).*/\1/p'; }
mkdir -p "$state" || exit 3
if [ -e "$stopped" ] || [ -e "$state/ended" ]; then
    say "the launch that this allocation belongs to has ended: nothing to do"
    exit 0
fi
if [ -n "$earlier" ] && ! grep -qx '[01]' "$earlier/ended" 2>/dev/null; then
    say "the allocation before this one did not finish its part: launch once more"
    end_for_good 75   # what it left undone must not run on these nodes
fi
# In a chain, somebody may have cancelled the job before this one. The last job of an allocation
# before (as in afterany:4711) says nothing: it is cancelled as soon as its part is finished.
before=$(sed -n 's/^afternotok:\([0-9][0-9]*\).*/\1/p' <<< "${SLURM_JOB_DEPENDENCY:-}")
if [ -n "$before" ] && [ "$(state_of "$before")" = CANCELLED ]; then
    say "job $before was cancelled, so this one does nothing"
    end_for_good 130
fi
"""

NODE = r"""
# ---- On every node: a private folder on its own disk, and Ray with what SLURM gave us there
private_folder() {  # short: a socket's path has 107 letters, and Ray adds up to 70
    local base
    for base in "$scratch" "${SLURM_TMPDIR:-}" "${TMPDIR:-}" /tmp /var/tmp /dev/shm; do
        [ -n "$base" ] || continue
        if [ "${#base}" -gt "$most_letters" ] || ! [ -w "$base" ]; then
            [ "$base" != "$scratch" ] || say "scratch: $base cannot be used on $(hostname)" >&2
            continue
        fi
        sweep "$base"
        mktemp -d "$base/ds-XXXXXXXX" && return   # only we may enter it
    done
    say "no folder on $(hostname) can hold Ray's files: set scratch to a short local path" >&2
    return 1
}
sweep() {  # what killed starts left: it says that we made it here, and nobody holds it any more
    local old
    find "$1" -maxdepth 1 -type d -name 'ds-????????' -user "$(id -u)" -mmin +10 2>/dev/null |
        while read -r old; do
            # On a disk that nodes share, only the node that made it knows whether it is held.
            [ "$(cat "$old/deltascale.lock" 2>/dev/null)" = "Ray of deltascale on $(hostname)" ] &&
                (flock -n 8 && rest "$old" -exec rm -rf {} + && rm -rf "$old") \
                    8< "$old/deltascale.lock"
        done
}
rest() {  # of a folder: all but the lock by which a sweep knows it, so that goes last of all
    find "$1" -mindepth 1 -maxdepth 1 ! -name deltascale.lock "${@:2}" 2>/dev/null
}
discard() {  # workers of Ray outlive it by a moment, and make anew what they write to
    local left=9
    while [ $((left--)) -gt 0 ]; do
        rest "$1" -exec rm -rf {} +
        sleep 1
        [ -n "$(rest "$1")" ] || break
    done
    [ -n "$(rest "$1")" ] || rm -rf "$1"   # else it is left to a sweep, which knows it by its lock
}
hold() {  # until this shell and all that it starts have ended
    exec 9> "$1/deltascale.lock"
    flock -n 9 && echo "Ray of deltascale on $(hostname)" >&9
}
own_address() {  # of the interface that the profile names, else of the node in SLURM
    local name
    if [ -n "$interface" ]; then
        ip -4 -o addr show dev "$interface" | sed -n 's/.* inet \([0-9.]*\).*/\1/p' | head -n 1
        return
    fi
    name=$(scontrol show node -o "$SLURMD_NODENAME" | sed -n 's/.*NodeAddr=\([^ ]*\).*/\1/p')
    getent ahostsv4 "${name:-$SLURMD_NODENAME}" | sed -n 's/ .*//p' | grep -v '^127\.' | head -n 1
}
start_ray() {  # the folder, then --head or --address=…; cores, GPUs and memory are never guessed
    local folder=$1 which=$2 cores=${SLURM_CPUS_ON_NODE:-$cpus} mb=0 address
    local more=()
    if [ "${SLURM_MEM_PER_NODE:-0}" -gt 0 ]; then mb=$SLURM_MEM_PER_NODE
    elif [ "${SLURM_MEM_PER_CPU:-0}" -gt 0 ]; then mb=$((SLURM_MEM_PER_CPU * cores)); fi
    # Ray's own processes and its store of small texts take some of it.
    [ "$mb" -le 500 ] || more+=("--memory=$(((mb - mb / 20 - 200) * 1048576))")
    address=$(own_address)
    [ -z "$address" ] || more+=("--node-ip-address=$address")
    [ -z "$labels" ] || more+=("--labels=$labels")
    # Ports are those that the kernel finds free: other jobs on this node may have a Ray, too.
    if [ "$which" = --head ]; then
        more+=(--port=0 --include-dashboard=false)
        # Where Ray Client is installed, it would take port 10001, whoever has it.
        ! (inside "$python" -c 'import grpc' 2>/dev/null) ||
            more+=(--ray-client-server-port=$((20000 + SLURM_JOB_ID % 10000)))
    fi
    inside ray start "$which" --block --temp-dir="$folder/r" --num-cpus="$cores" \
        --num-gpus="${SLURM_GPUS_ON_NODE:-$gpus}" --object-store-memory=100000000 \
        --min-worker-port=0 --max-worker-port=0 --dashboard-agent-listen-port=0 \
        --disable-usage-stats "${more[@]}" > "$folder/ray.log" 2>&1
}
with_token() {  # Ray lets nobody in who does not show it; it is on no command line and no share
    export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH="$1/token"
    (umask 077 && cat > "$1/token")
}
worker() {  # the whole life of one node that is not the first; the token comes on standard input
    # Not local: the trap that uses them runs after this function has ended.
    folder=$(private_folder) && hold "$folder" || exit 1
    trap 'exit 0' TERM INT USR1
    # The folder first: where SLURM ends a step, srun has it killed a moment after it was told.
    trap 'rest "$folder" -exec rm -rf {} +
        kill $ray_pid 2>/dev/null; wait $ray_pid; discard "$folder"' EXIT
    with_token "$folder"
    (start_ray "$folder" "--address=$1") < /dev/null &
    ray_pid=$!
    wait $ray_pid
    say "Ray on $(hostname) has ended:"; tail -n 5 "$folder/ray.log"
}
"""

SIGNALS = r"""
# ---- Signals: USR1 comes before the time limit, TERM when SLURM ends this allocation
asked=''; asked_at=0; coordinator=''; head=''; workers=''; node=''
ask_to_save() {
    say "$3: jobs are asked to save"
    [ -n "$asked" ] || asked_at=$SECONDS
    asked=$1
    [ -z "$coordinator" ] || kill -"$2" "$coordinator" 2>/dev/null
}
trap 'ask_to_save time USR1 "the time limit is near"' USR1
trap 'ask_to_save stop TERM "SLURM ends this allocation"' TERM
gone() {  # within so many seconds?
    local left=$2
    while kill -0 "$1" 2>/dev/null; do
        [ "$left" -gt 0 ] || return 1
        sleep 1; left=$((left - 1))
    done
}
stop_ray() {  # only what was started here, by process id: never `ray stop`
    if [ -n "$workers" ]; then
        kill -USR1 "$workers" 2>/dev/null   # srun hands it on to its tasks; at TERM it kills them
        gone "$workers" 15 || kill -TERM "$workers" 2>/dev/null
    fi
    if [ -n "$head" ]; then
        kill -TERM "$head" 2>/dev/null
        gone "$head" 15 || kill -KILL "$head" 2>/dev/null
    fi
    workers=''; head=''
    [ -z "$node" ] || discard "$node"
    node=''
}
trap stop_ray EXIT
"""

AGAIN = r"""
again() {  # why: this start is over, the work is not
    local now last='' idle=0
    stop_ray
    now=$( (progress) 2>/dev/null)
    [ ! -r "$state/progress" ] || read -r last idle < "$state/progress"
    if [ -n "$now" ] && [ "$now" != "$last" ]; then idle=0; else idle=$((idle + 1)); fi
    echo "${now:-$last} $idle" > "$state/progress"
    if [ "$idle" -ge "$most_idle_starts" ]; then
        say "$1; $idle starts in a row got no further, so it is not tried again"
        end_for_good 75
    fi
    if [ -n "$(successors)" ]; then
        say "$1; the next job of the chain goes on"
    elif ! [[ "$(state_of "$SLURM_JOB_ID")" =~ ^(RUNNING|SIGNALING)$ ]]; then
        say "$1"   # cancelled, or queued again by SLURM itself
    elif scontrol requeue "$SLURM_JOB_ID"; then
        say "$1; this job goes back into the queue"
    else
        say "$1; SLURM does not queue it again: launch once more"
    fi
    exit 75
}
"""

GUARDED = r"""
# ---- Ray: its head on this first node, the other nodes by one srun with one task each
node=$(private_folder) && hold "$node" || again "no room for Ray's files"
head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n' | with_token "$node"
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH="$node/token"
(start_ray "$node" --head) < /dev/null &
head=$!
until [ -s "$node/r/ray_current_cluster" ]; do
    if ! kill -0 $head 2>/dev/null || [ $SECONDS -gt "$most_wait_s" ]; then
        say "Ray's head does not start on $(hostname):"; tail -n 20 "$node/ray.log"
        again "Ray's head did not start"
    fi
    sleep 1
done
address=$(cat "$node/r/ray_current_cluster")
if [ "$SLURM_JOB_NUM_NODES" -gt 1 ]; then
    others=$((SLURM_JOB_NUM_NODES - 1))
    what=$(declare -f say private_folder sweep rest discard hold own_address start_ray)
    what+=$(echo; declare -f with_token worker inside)
    srun --nodes=$others --ntasks=$others --ntasks-per-node=1 --relative=1 \
        --cpus-per-task="$cpus" --mpi=none --no-kill --kill-on-bad-exit=0 --wait=0 \
        bash -c "$what; worker $address" < "$node/token" &
    workers=$!
fi
(inside "$python" -m cluster.slurm.wait_for_nodes \
    "$address" "$SLURM_JOB_NUM_NODES" "$most_wait_s") &
waiting=$!
while kill -0 $waiting 2>/dev/null; do
    sleep 1 & wait $!   # a signal ends the wait at once
    [ -z "$asked" ] && { [ -z "$workers" ] || kill -0 $workers 2>/dev/null; } || kill $waiting
done 2>/dev/null
wait $waiting || again "not all nodes joined Ray"
say "Ray runs at $address over $SLURM_JOB_NUM_NODES nodes"
"""

SYMMETRIC = r"""
# ---- Ray's own symmetric-run, on nodes that are ours alone: it starts Ray on all of them, runs the
# launch on the one with this address, and at the end stops every Ray there by name
node=$(private_folder) && hold "$node" || again "no room for Ray's files"
address=$(own_address):$((20000 + SLURM_JOB_ID % 10000))
head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n' | with_token "$node"
symmetric() {  # on every node: the token comes on standard input, the rest in the environment
    local folder
    folder=$(private_folder) && hold "$folder" || exit 1
    trap 'discard "$folder"' EXIT
    with_token "$folder"
    export RAY_TMPDIR="$folder" RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT=$most_wait_s
    (inside ray symmetric-run --address "$address" --min-nodes "$SLURM_JOB_NUM_NODES" \
        --num-cpus="${SLURM_CPUS_ON_NODE:-$cpus}" --num-gpus="${SLURM_GPUS_ON_NODE:-$gpus}" \
        --object-store-memory=100000000 --min-worker-port=0 --max-worker-port=0 \
        --dashboard-agent-listen-port=0 --include-dashboard=false --disable-usage-stats \
        -- bash -c "$entry") < /dev/null
}
"""

COORDINATE_SYMMETRIC = r"""
# ---- The launch, inside of symmetric-run on this first node; its process id and code in files
[ -z "$asked" ] || again "asked to stop before it began"
which=launch; [ -e "$state/started" ] || which=first_launch
entry="$(declare -f inside launch first_launch); (echo \$BASHPID > $node/pid; $which)
    echo \$? > $node/code"
export address entry most_wait_s
what=$(declare -f say private_folder sweep rest discard hold with_token symmetric inside)
srun --nodes="$SLURM_JOB_NUM_NODES" --ntasks="$SLURM_JOB_NUM_NODES" --ntasks-per-node=1 \
    --cpus-per-task="$cpus" --mpi=none --kill-on-bad-exit=0 --wait=0 \
    bash -c "$what; symmetric" < "$node/token" &
workers=$!
echo "$SLURM_JOB_ID" >> "$state/started"
while kill -0 $workers 2>/dev/null; do
    sleep 2 & wait $!   # a signal ends the wait at once
    if [ -n "$asked" ] && [ -z "$coordinator" ] && [ -s "$node/pid" ]; then
        coordinator=$(cat "$node/pid")
        kill -USR1 "$coordinator" 2>/dev/null
    fi
    if [ -n "$asked" ] && [ $((SECONDS - asked_at)) -gt $((save_s - 30)) ]; then
        say "the launch did not end in time: it is killed; its last checkpoints are kept"
        [ ! -s "$node/pid" ] || kill -KILL "$(cat "$node/pid")" 2>/dev/null
        break
    fi
done
code=$(cat "$node/code" 2>/dev/null)
coordinator=''
"""

COORDINATE = r"""
# ---- The launch itself, on this first node
[ -z "$asked" ] || again "asked to stop before it began"
if [ -e "$state/started" ]; then (launch) & else (first_launch) & fi
coordinator=$!
echo "$SLURM_JOB_ID" >> "$state/started"
while kill -0 $coordinator 2>/dev/null; do
    sleep 2 & wait $!   # a signal ends the wait at once
    if ! kill -0 $head 2>/dev/null && [ -z "$asked" ]; then
        ask_to_save lost USR1 "Ray's head has ended"
    fi
    if [ -n "$asked" ] && [ $((SECONDS - asked_at)) -gt $((save_s - 30)) ]; then
        say "the launch did not end in time: it is killed; its last checkpoints are kept"
        kill -KILL $coordinator
    fi
done
wait $coordinator
code=$?
coordinator=''
"""

ENDING = r"""
say "the launch ended with code ${code:-that nobody knows}"
case $code in
    0|1|2|76) end_for_good $code ;;
    130) [ -n "$asked" ] || end_for_good 130 ;;
esac
again "not complete (code ${code:-unknown})"
"""
