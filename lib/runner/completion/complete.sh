# Answers a shell that completes a command line: sh -c "$script" complete <words up to the cursor, the last one may be empty>
# script.ts puts candidates.awk in front, as $candidates.
#
# Prints what candidates.awk prints, or `foreign` when the command line does not start one of our programs. These are the main
# files in $TASK_RUNNER_MAINS (one a line), and all those of which something is remembered: no other program is ever started.
# $TASK_RUNNER_LAUNCHERS are programs beside a main file that start it, as `launcher:main`.
# Node only starts when there is no word list, or when a file was changed that it was made from.
line_break='
'
caches=${XDG_CACHE_HOME-}
case $caches in /*) ;; *) caches=${HOME-}/.cache ;; esac

# Whether $1 is one of our main files; with `launcher` whether there is one of this name beside it. Sets $main and $memory.
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
  memory= rest=$main
  while :; do
    case $rest in
      */*) memory=$memory${rest%%/*}% rest=${rest#*/} ;;
      *) break ;;
    esac
  done
  memory=$caches/task-runner/$memory$rest/words
  [ -f "$memory" ] && return 0
  case $line_break${TASK_RUNNER_MAINS-}$line_break in *"$line_break$main$line_break"*) return 0 ;; esac
  return 1
}

# Sets $used to the number of words before the task's: those of the launcher.
find_program() {
  used=1 tool=${1##*/}
  case $1 in */*) program=$1 ;; *) program=$(command -v -- "$1") || program= ;; esac
  for launcher in ${TASK_RUNNER_LAUNCHERS-}; do
    # As launcher:main
    [ "$tool" = "${launcher%%:*}" ] || continue
    launched=${launcher#*:}
    is_ours "$program" launcher && return
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

# Whether the word list was made from the files as they are now: sizes and times, compared as text.
is_current() {
  stamps= absent=
  set -f
  IFS=$line_break
  set --
  for line in $words; do
    case $line in
      'source	absent '*) [ ! -e "${line#source	absent }" ] || return 1 ;;
      'source	'*)
        line=${line#source	}
        stamps=$stamps$line$line_break
        line=${line#* } line=${line#* }
        set -- "$@" "${line#* }"
        ;;
      "main	$main") known_main=yes ;;
      option* | task*) break ;;
    esac
  done
  [ "${known_main-}" = yes ] && [ $# -gt 0 ] || return 1
  current=$(stat -c '%s %.9Y %.9Z %n' -- "$@" 2>/dev/null || stat -f '%z %Fm %Fc %N' -- "$@" 2>/dev/null)
  [ "$current$line_break" = "$stamps" ]
}

# From the main file's folder, where Node finds the loader; without one, newer Node does without.
ask_node() (
  cd -- "${main%/*}/" && {
    node --import tsx "$main" __complete "$@" || node "$main" __complete "$@"
  } </dev/null 2>/dev/null
)

find_program "$@" || {
  echo foreign
  exit
}
shift "$used"
words=
[ ! -f "$memory" ] || words=$(cat -- "$memory")
if ! (is_current); then
  # What a broken file was before it was broken is better than nothing.
  fresh=$(ask_node) && words=$fresh
fi
answer=$(printf '%s\n' "$words" | LC_ALL=C awk "$candidates" "$@")
case $answer in
  'ask	'*)
    tab='	' IFS='	'
    set -f
    asked=${answer#ask$tab}
    task=${asked%%$tab*} asked=${asked#*$tab}
    argument=${asked%%$tab*} before=${asked#*$tab}
    ask_node "$task" "$argument" "$before" "$@"
    ;;
  *) printf '%s\n' "$answer" ;;
esac
