// Two steps with a sleep between them; the data may say how long: `{"sleep": "2 hours"}`.
//
// Written as Netlify's manual shows it. The library returns from a step it has just stored, so what
// this reports after one depends on how soon its process is stopped: the rig's `--after`.

import { report, seenWorkload } from "../seen.mjs";

export default seenWorkload("steps", async ({ step, eventId, eventData }) => {
  const run = (name) =>
    step.run(name, async () => {
      await report({ workload: "steps", what: name, eventId });
      return { from: name };
    });
  await run("first");
  await step.sleep("nap", eventData?.sleep ?? "2 hours");
  await run("second");
});

export const asyncWorkloadConfig = { events: ["rig.steps"] };
