// Fails as often as the event's data says (`{"failures": n}`), then succeeds; with `"final": true`
// it fails for good at once.

import { ErrorDoNotRetry } from "@netlify/async-workloads";

import { seenWorkload } from "../seen.mjs";

export default seenWorkload("failing", ({ attempt, eventData }) => {
  if (eventData.final) throw new ErrorDoNotRetry("failed for good");
  if (attempt < eventData.failures) throw new Error(`failure ${attempt + 1}`);
});

export const asyncWorkloadConfig = { events: ["rig.fail"] };
