# bash completion for @names@. To install it:
#  @command@ > ~/.task-completion.bash
#  echo 'source ~/.task-completion.bash' >> ~/.bashrc
# Another clone has its own script: append it (>>).
# Tasks, options and values are always those of the moment.
@variables@
_task_runner_mains=${_task_runner_mains:+$_task_runner_mains$'\n'}$_task_runner_main
_task_runner_launchers="${_task_runner_launchers-} $_task_runner_launcher"

_task_runner_complete() {
  local word current= cut= answer candidate joins=
  local -a words=()
  # readline has taken words apart at = and :, which are part of ours.
  for word in "${COMP_WORDS[@]:0:COMP_CWORD+1}"; do
    word=${word//[\"\'\\]/}
    if [[ ${#words[@]} -gt 0 && -n $word && ($joins || $word == [=:]*) ]]; then
      words[${#words[@]} - 1]+=$word
    else
      words+=("$word")
    fi
    [[ $word == *[=:] ]] && joins=yes || joins=
  done
  # After a `=` and a space a new word begins.
  ((${#words[@]} > 0)) && current=${words[${#words[@]} - 1]}
  [[ $COMP_WORDBREAKS == *=* && $current == *[=:]* ]] && cut=${current%"${current##*[=:]}"}

  COMPREPLY=()
  answer=$(TASK_RUNNER_MAINS=$_task_runner_mains TASK_RUNNER_LAUNCHERS=$_task_runner_launchers \
    command sh -c "$_task_runner_script" complete "${words[@]}")
  case $answer in
    foreign)
      word=_task_runner_before_${1//[!a-zA-Z0-9]/_}
      [[ -z ${!word-} ]] || "${!word}" "$@"
      return
      ;;
    files | none) [[ $answer == files ]] || compopt +o default +o bashdefault 2>/dev/null; return ;;
  esac
  compopt +o default +o bashdefault 2>/dev/null
  while IFS=$'\t' read -r candidate _; do
    [[ $candidate == "$current"* ]] && COMPREPLY+=("${candidate#"$cut"}")
  done <<<"${answer#words}"
  [[ -n ${COMPREPLY[0]-} ]] || COMPREPLY=("${COMPREPLY[@]:1}")
}

_task_runner_register() {
  local name
  for name in "$@"; do
    [[ $(complete -p "$name" 2>/dev/null) =~ -F\ ([^ ]+) && ${BASH_REMATCH[1]} != _task_runner_complete ]] &&
      printf -v "_task_runner_before_${name//[!a-zA-Z0-9]/_}" %s "${BASH_REMATCH[1]}"
    complete -o bashdefault -o default -F _task_runner_complete "$name"
  done
}
_task_runner_launch() {
  TASK_RUNNER_MAINS=$_task_runner_mains command sh -c "$_task_runner_script" launch "$@"
}
# From below its folder, the launcher is called by its name alone.
[[ -z $_task_runner_launcher ]] || type "${_task_runner_launcher%%:*}" >/dev/null 2>&1 ||
  eval "${_task_runner_launcher%%:*}() { _task_runner_launch $_task_runner_launcher \"\$@\"; }"

_task_runner_register ${_task_runner_launcher:+"${_task_runner_launcher%%:*}" "./${_task_runner_launcher%%:*}"} npx tsx node
