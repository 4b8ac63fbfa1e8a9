// Copyright 2026 The magma_ros authors
// SPDX-License-Identifier: Apache-2.0
// Puts the page together once it has been laid out.

import { Cameras } from "./cameras.js";
import { Drive, showKeys } from "./drive.js";
import { Feed } from "./feed.js";
import { Diagnostics, Episode, Instruction } from "./keep.js";
import { link } from "./link.js";
import { kept, part, say } from "./parts.js";
import { Plots } from "./plots.js";
import { Status } from "./status.js";

function bindTheme() {
  const root = document.documentElement;
  const name = () => say(part("theme"), root.dataset.theme === "dark" ? "Light" : "Dark");
  part("theme").addEventListener("click", () => {
    root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
    kept.set("theme", root.dataset.theme);
    name();
  });
  name();
}

function start() {
  bindTheme();
  showKeys(link.keys);
  const status = new Status();
  const drive = new Drive(link);
  const episode = new Episode(link);
  const diagnostics = new Diagnostics();
  const plots = new Plots();
  let cameras = null;
  const instruction = new Instruction(link, (number) => cameras?.choose(number));
  const feed = new Feed({
    onview(view) {
      for (const shown of [status, drive, cameras, instruction, episode, diagnostics]) shown.update(view);
      plots.update(view, view.now);
    },
    onpicture: (camera, blob, heard) => cameras.draw(camera, blob, heard),
    onsilence(seconds) {
      status.silence(seconds, feed?.view !== null);
      status.connection(link.state, seconds > 0);
      drive.silence(seconds);
      cameras?.tick(seconds);
    },
  });
  cameras = new Cameras(feed, (number) => instruction.name(number));
}

// The page is laid out by Vue some time after this script is run.
if (part("console")) {
  start();
} else {
  const observer = new MutationObserver(() => {
    if (!part("console")) return;
    observer.disconnect();
    start();
  });
  observer.observe(document.body, { childList: true, subtree: true });
}
