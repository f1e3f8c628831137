# The session in docs/run.svg: see docs/picture.ts.
set -eu
stty cols 100
for command in 'npx tsx tasks.ts create-environment' './run status'; do
  echo "$ $command"
  $command
done
