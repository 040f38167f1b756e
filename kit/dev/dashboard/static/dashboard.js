// Starts what a page can do beyond showing itself. Without scripts all of it still works, reloading.
import { follow } from "./follow.js";
import { improveForms } from "./forms.js";
import { keepTime } from "./times.js";
import { offerThemes } from "./themes.js";
import { improveValues } from "./values.js";

offerThemes(document.getElementById("theme"), document.getElementById("theme-name"));
const time = keepTime();
const feed = document.body.dataset.feed
  ? follow(document.body.dataset.feed, { changed: () => time.tell() })
  : null;
improveForms(feed);
improveValues();
