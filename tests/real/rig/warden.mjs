// Outlives the rig by a moment, to end what the rig could not.
//
// A frozen worker cannot see that its parent has gone, and a rig that was killed cannot end it. So
// this process is told of each worker's process group, and ends those left when its input closes.

import { createInterface } from "node:readline";

const groups = new Set();
process.on("SIGINT", () => {}).on("SIGTERM", () => {}); // only the end of input ends it
for await (const line of createInterface({ input: process.stdin })) {
  const [sign, pid] = [line[0], Number(line.slice(1))];
  if (sign === "+") groups.add(pid);
  else groups.delete(pid);
}
for (const pid of groups) {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // ended meanwhile
  }
}
