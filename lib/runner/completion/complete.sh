# sh -c "$script" launch <launcher:main> <words>: starts the launcher that is found first, here or in a folder above.
# sh -c "$script" complete <words up to the cursor, the last one may be empty>: answers a shell that completes a command line.
# Prints what completion.ts returns, or `foreign` when the command line does not start one of our programs. These are the main
# files in $TASK_RUNNER_MAINS (one a line): no other program is ever started.
# $TASK_RUNNER_LAUNCHERS are programs beside a main file that start it, as `launcher:main`.
line_break='
'

# Whether $1 is one of our main files; with `launcher` whether there is one of this name beside it. Sets $main.
is_ours() {
  path=$1
  case $path in '~/'*) path=$HOME/${path#'~/'} ;; esac
  [ ! -d "$path" ] && [ -e "$path" ] || return 1
  [ ! -L "$path" ] || path=$(readlink -f -- "$path") || return 1
  case $path in */*) folder=${path%/*}/ ;; *) folder=./ ;; esac
  main=${path##*/}
  came_from=$PWD
  # CDPATH would lead elsewhere, and have it printed.
  CDPATH= cd -P -- "$folder" 2>/dev/null || return 1
  folder=${PWD%/}
  cd -- "$came_from" || return 1
  [ "${2-}" != launcher ] || main=$launched
  main=$folder/$main
  [ -f "$main" ] || return 1
  case $line_break${TASK_RUNNER_MAINS-}$line_break in *"$line_break$main$line_break"*) ;; *) return 1 ;; esac
}

# Sets $program to the first $launched beside one of our main files, here or in a folder above.
find_upwards() {
  program=./${1%%:*} launched=${1#*:} above=$(pwd -P)
  until is_ours "$program" launcher && [ -x "$program" ]; do
    [ -n "$above" ] || return 1
    above=${above%/*} program=../${program#./}
  done
}

[ "$0" != launch ] || {
  launcher=$1
  shift
  find_upwards "$launcher" && unset TASK_RUNNER_MAINS && exec "$program" "$@"
  echo "error: no ${launcher%%:*} of a program whose completion script was sourced, neither here nor in a folder above" >&2
  exit 127
}

# Sets $used to the number of words before the task's: those of the launcher.
find_program() {
  used=1 tool=${1##*/}
  case $1 in */*) program=$1 ;; *) program=$(command -v -- "$1") ;; esac
  for launcher in ${TASK_RUNNER_LAUNCHERS-}; do
    # As launcher:main
    [ "$tool" = "${launcher%%:*}" ] || continue
    launched=${launcher#*:}
    if [ -n "$program" ]; then is_ours "$program" launcher; else find_upwards "$launcher"; fi && return
  done
  case $tool in node | tsx | npx) ;; *) return 1 ;; esac
  shift
  # The last word is the one to be completed.
  while [ $# -gt 1 ]; do
    used=$((used + 1))
    case $tool:$1 in
      npx:tsx | npx:tsx@*) tool=tsx ;;
      node:--import | node:-r | node:--require | node:--loader | node:--experimental-loader | \
        node:--env-file | node:-C | node:--conditions | tsx:--tsconfig | npx:-p | npx:--package)
        [ $# -gt 2 ] || return 1
        used=$((used + 1))
        shift
        ;;
      *:-*) ;;
      npx:*) return 1 ;;
      *) is_ours "$1"; return ;;
    esac
    shift
  done
  return 1
}

find_program "$@" || {
  echo foreign
  exit
}
shift "$used"
folder=${main%/*}
for launcher in ${TASK_RUNNER_LAUNCHERS-}; do
  launched=$folder/${launcher%%:*}
  [ "$main" = "$folder/${launcher#*:}" ] && [ -x "$launched" ] && exec "$launched" __complete "$@" </dev/null 2>/dev/null
done
# From the main file's folder, where Node finds the loader; without one, newer Node does without.
cd -- "$folder" && {
  node --import tsx "$main" __complete "$@" || node "$main" __complete "$@"
} </dev/null 2>/dev/null
