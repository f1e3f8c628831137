# What can stand at the end of a command line: awk "$program" -- <words> <beginning of the word> < word list
#
# The word list has these lines, their fields separated by tabs (word-list.ts makes them):
#   task    <name or alias> <name> <description> <1: words after -- are passed through>
#   option  <task, empty: of all> <--form> <-s> <flag | value | list> <values> <name> <description>
#   place   <task> <1: takes all further words> <values> <name>
#   word    <list> <word>
# <values> is the number of a list, `ask` (only the tasks know), `files` or `none`.
#
# Prints `words`, `files`, `none` or `ask <task> <name> <beginning>` (separated by tabs), after `words` one line for each word:
# the word, a tab, its description. Words are not yet limited to those that begin as the given one does.
BEGIN {
  FS = "\t"
  count = ARGC - 1
  for (i = 1; i <= count; i++) word[i] = ARGV[i]
  # Else awk would take them for files.
  ARGC = 1
}

$1 == "task" {
  order[++tasks] = $2
  name[$2] = $3
  about[$2] = $4
  passThrough[$3] = $5
}
$1 == "option" {
  n = ++options
  owner[n] = $2; form[n] = $3; short[n] = $4; kind[n] = $5; values[n] = $6; argument[n] = $7; text[n] = $8
  if ($4 != "") letters[$2, substr($4, 2)] = 1
}
$1 == "place" {
  n = $2 SUBSEP (++places[$2])
  variadic[n] = $3; placeValues[n] = $4; placeName[n] = $5
}
$1 == "word" { list[$2] = list[$2] $3 "\t\n" }

function find(written, i) {
  for (i = options; i >= 1; i--)
    if ((owner[i] == "" || owner[i] == task) && (form[i] == written || short[i] == written)) return i
  return 0
}

# As the parser does it: a lone - is a word, and so is a negative number.
function isOption(w) {
  if (substr(w, 1, 1) != "-" || w == "-") return 0
  if (w !~ /^-[.]?[0-9]/) return 1
  return (("", substr(w, 2, 1)) in letters) || ((task, substr(w, 2, 1)) in letters)
}

# Marks the option as given, and returns it when its value is the next word.
function option(w, i, found) {
  if (substr(w, 1, 2) == "--") {
    i = index(w, "=")
    found = find(i ? substr(w, 1, i - 1) : w)
    if (found) given[found] = 1
    return found && !i && kind[found] != "flag" ? found : 0
  }
  for (i = 2; i <= length(w); i++) {
    found = find("-" substr(w, i, 1))
    if (!found) return 0
    given[found] = 1
    if (kind[found] != "flag") return i == length(w) ? found : 0
  }
  return 0
}

# The words of a list, each with what stands before it in the same word of the command line.
function show(which, before, argumentName, lines, n, i) {
  if (which == "ask") { print "ask\t" task "\t" argumentName "\t" before; return }
  if (which == "files" || which == "none") { print which; return }
  print "words"
  n = split(list[which], lines, "\n")
  for (i = 1; i < n; i++) print before lines[i]
}

function showValues(o, before, typed) {
  # The items of a list may be written with commas.
  if (kind[o] == "list" && match(typed, /.*,/)) before = before substr(typed, 1, RLENGTH)
  show(values[o], before, argument[o])
}

function showOptions(typed, i) {
  print "words"
  for (i = 1; i <= options; i++) {
    if ((owner[i] != "" && owner[i] != task) || (given[i] && kind[i] != "list")) continue
    print form[i] "\t" text[i]
    if (short[i] != "" && typed ~ /^-.?$/) print short[i] "\t" text[i]
  }
}

END {
  for (i = 1; i < count; i++) {
    w = word[i]
    if (pending) { pending = 0; continue }
    if (w == "--" && !ended) {
      if (passThrough[task]) { print "files"; exit }
      ended = 1
    }
    else if (!ended && isOption(w)) pending = option(w)
    else if (task != "") place++
    else if (w in name) task = name[w]
    else { print "none"; exit }
    if (ended && passThrough[task]) { print "files"; exit }
  }
  w = word[count]
  if (pending) { showValues(pending, "", w); exit }
  if (!ended && match(w, /^--[^=]*=/)) {
    o = find(substr(w, 1, RLENGTH - 1))
    if (o && kind[o] != "flag") showValues(o, substr(w, 1, RLENGTH), substr(w, RLENGTH + 1))
    else print "none"
    exit
  }
  if (!ended && substr(w, 1, 1) == "-") { showOptions(w); exit }
  if (task == "") {
    print "words"
    for (i = 1; i <= tasks; i++) print order[i] "\t" about[order[i]]
    exit
  }
  for (i = 1; i <= places[task]; i++)
    if (i == place + 1 || (variadic[task, i] == 1 && i <= place + 1)) {
      show(placeValues[task, i], "", placeName[task, i])
      exit
    }
  if (ended) print "none"
  else showOptions(w)
}
