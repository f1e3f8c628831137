# zsh completion for @names@. To install it:
#  @command@ > ~/.task-completion.zsh
#  echo 'source ~/.task-completion.zsh' >> ~/.zshrc   # after compinit
# Another clone has its own script: append it (>>).
# Tasks, options and values are always those of the moment.
@variables@
typeset -g _task_runner_mains="${_task_runner_mains:+$_task_runner_mains
}$_task_runner_main"
typeset -g _task_runner_launchers="${_task_runner_launchers-} $_task_runner_launcher"
typeset -gA _task_runner_before

_task_runner_complete() {
  local -a answer described plain
  local line word about
  answer=("${(@f)$(TASK_RUNNER_MAINS=$_task_runner_mains TASK_RUNNER_LAUNCHERS=$_task_runner_launchers \
    command sh -c "$_task_runner_script" complete "${(@Q)words[1,CURRENT-1]}" "${(Q)PREFIX}")}")
  case $answer[1] in
    words)
      for line in "${(@)answer[2,-1]}"; do
        word=${line%%$'\t'*} about=${line#*$'\t'}
        if [[ -n $about ]]; then described+=("${word//:/\\:}:$about"); else plain+=("${word//:/\\:}"); fi
      done
      _describe -V 'possible words' described -- plain
      ;;
    files)
      compset -P '--[^=]##='
      _files
      ;;
    foreign) ${_task_runner_before[${words[1]:t}]:-_default} "$@" ;;
    *) return 1 ;;
  esac
}

_task_runner_launch() {
  TASK_RUNNER_MAINS=$_task_runner_mains command sh -c "$_task_runner_script" launch "$@"
}
# From below its folder, the launcher is called by its name alone.
[[ -z $_task_runner_launcher ]] || whence ${_task_runner_launcher%%:*} >/dev/null ||
  eval "${_task_runner_launcher%%:*}() { _task_runner_launch $_task_runner_launcher \"\$@\"; }"

() {
  local name
  for name in "$@"; do
    [[ ${_comps[$name]-_task_runner_complete} == _task_runner_complete ]] || _task_runner_before[$name]=$_comps[$name]
    compdef _task_runner_complete $name
  done
} ${_task_runner_launcher%%:*} npx tsx node
