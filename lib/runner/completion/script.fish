# fish completion for @names@. To install it:
#  @command@ > ~/.config/fish/conf.d/task-completion.fish
# Another clone has its own script: append it (>>).
# Tasks, options and values are always those of the moment.
@variables@
set -g _task_runner_mains $_task_runner_mains $_task_runner_main
set -g _task_runner_launchers $_task_runner_launchers $_task_runner_launcher

function _task_runner_answer
    set -lx TASK_RUNNER_MAINS (string join \n -- $_task_runner_mains | string collect)
    set -lx TASK_RUNNER_LAUNCHERS "$_task_runner_launchers"
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    command sh -c "$_task_runner_script" complete $words "$current"
end

function _task_runner_complete
    set -l answer (_task_runner_answer)
    switch "$answer[1]"
        case words
            string join \n -- $answer[2..-1]
        case files foreign
            __fish_complete_path (commandline -ct)
    end
end

# For programs that run others too: whether a word is the name of one of our main files.
function _task_runner_is_meant
    for word in (commandline -opc)
        for main in $_task_runner_mains
            test (path basename -- $word) = (path basename -- $main); and return
        end
    end
    return 1
end

function _task_runner_launch
    set -lx TASK_RUNNER_MAINS (string join \n -- $_task_runner_mains | string collect)
    command sh -c "$_task_runner_script" launch $argv
end

if test -n "$_task_runner_launcher"
    set -l name (string split -f 1 : -- $_task_runner_launcher)
    # From below its folder, the launcher is called by its name alone.
    type -q $name; or eval "function $name; _task_runner_launch $_task_runner_launcher \$argv; end"
    complete -c (string split -f 1 : -- $_task_runner_launcher) -f -k -a '(_task_runner_complete)'
end
for name in npx tsx node
    complete -c $name -n _task_runner_is_meant -f -k -a '(_task_runner_complete)'
end
