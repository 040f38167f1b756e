// Takes what tests send, and says what it saw.

import { seenWorkload } from "../seen.mjs";

export default seenWorkload("recorder");

export const asyncWorkloadConfig = { events: ["publish-draft", "rig.record"] };
