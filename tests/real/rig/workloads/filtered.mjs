// Takes only events whose data says `{"wanted": true}`.

import { seenWorkload } from "../seen.mjs";

export default seenWorkload("filtered");

export const asyncWorkloadConfig = {
  events: ["rig.filter"],
  eventFilter: ({ eventData }) => eventData?.wanted === true,
};
