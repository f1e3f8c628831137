// Keeps a processor busy until this process has used this many milliseconds of CPU time, start included.
const enough = Number(process.argv[2]) * 1000;
let spent = 0;
while (spent < enough) {
  for (let round = 0; round < 1e5; round += 1) Math.sqrt(round);
  const { user, system } = process.cpuUsage();
  spent = user + system;
}
