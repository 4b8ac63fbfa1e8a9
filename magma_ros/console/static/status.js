// Copyright 2026 The magma_ros authors
// SPDX-License-Identifier: Apache-2.0
// Who drives and why, whether what is shown is still true, and the call for help.

import { ago, figure, kept, mark, part, say, show } from "./parts.js";

const GUARD_SILENCE = 1.5; // age of the guard's newest word after which its mode is not believed [s]
const BEEP_PERIOD = 3000; // time between two calls for help [ms]

export class Status {
  constructor() {
    this.sound = new Sound();
    this.calling = null;
  }

  update(view) {
    const { guard, policy } = view;
    const silent = guard.mode !== null && !(guard.age < GUARD_SILENCE);
    mark(part("console"), "data-mode", guard.mode === null ? "UNKNOWN" : guard.mode);
    mark(part("mode"), "data-silent", silent);
    say(part("mode-name"), guard.mode ?? "—");
    say(part("mode-sentence"), silent ? `The guard has been silent for ${ago(guard.age)}.` : sentence(guard));
    say(part("mode-detail"), detail(guard));
    part("mode").title = `${sentence(guard)} ${detail(guard)}`; // what does not fit
    this.callForHelp(policy.help, guard.mode);
    document.title = `${part("help").hidden ? "" : "Help! "}${guard.mode ?? "—"} · magma console`;
    const fault = policy.fault || (policy.waiting_for && `The policy waits for ${policy.waiting_for}.`);
    say(part("fault"), fault);
    show(part("fault"), fault !== "");
  }

  // The page believes nothing that it has not heard just now.
  silence(seconds, heard) {
    const lost = seconds > 0;
    document.documentElement.classList.toggle("disconnected", lost);
    show(part("lost"), lost);
    if (lost) say(part("lost-title"), heard ? "DISCONNECTED" : "NOT CONNECTED YET");
    if (lost) say(part("lost-age"), ago(seconds));
    if (lost) this.callForHelp("", null);
    if (lost) document.title = "Disconnected · magma console";
  }

  connection(link, silent) {
    const words = silent ? "Disconnected" : link.connected ? "Connected" : "Watching";
    mark(part("connection"), "data-state", silent ? "lost" : link.connected ? "good" : "watching");
    say(part("connection"), words);
  }

  callForHelp(why, mode) {
    const wanted = why !== "" && mode !== "TELEOP";
    show(part("help"), wanted);
    if (wanted) say(part("help-why"), why);
    if (wanted && this.calling === null) {
      this.sound.beep();
      this.calling = setInterval(() => this.sound.beep(), BEEP_PERIOD);
    } else if (!wanted && this.calling !== null) {
      clearInterval(this.calling);
      this.calling = null;
    }
  }
}

// The sentence may end with the detail, which has a line of its own.
function sentence({ mode, sentence: words, detail: why }) {
  if (mode === null) return "The guard has not been heard yet.";
  return why && words.endsWith(why) ? words.slice(0, -why.length).trim() : words;
}

function detail({ detail: why, scale, mode }) {
  const driven = mode === "AUTO" || mode === "TELEOP";
  if (driven && scale < 0.995) return `${figure(scale * 100, 0, "%")} of the speed asked for. ${why}`;
  return why;
}

// Browsers let a page be heard only after the operator has touched it.
class Sound {
  constructor() {
    this.muted = kept.get("muted") === "true";
    this.button = part("sound");
    this.button.addEventListener("click", () => {
      this.muted = !this.muted;
      kept.set("muted", this.muted);
      this.show();
      if (!this.muted) this.beep();
    });
    for (const gesture of ["pointerdown", "keydown"]) {
      addEventListener(gesture, () => this.wake(), { once: true });
    }
    this.show();
  }

  wake() {
    this.context = new AudioContext();
    this.context.resume().then(() => this.show());
  }

  show() {
    const heard = !this.muted && this.context?.state === "running";
    mark(this.button, "aria-pressed", !this.muted);
    mark(this.button, "data-heard", heard);
    say(this.button, this.muted ? "Sound off" : "Sound on");
    this.button.title = heard || this.muted ? "" : "Heard once you have pressed a key or a button here.";
  }

  // Two short tones, the second higher.
  beep() {
    if (this.muted || this.context?.state !== "running") return;
    mark(this.button, "data-beeps", Number(this.button.dataset.beeps ?? 0) + 1);
    [660, 880].forEach((pitch, i) => {
      const start = this.context.currentTime + 0.18 * i;
      const tone = this.context.createOscillator();
      const volume = this.context.createGain();
      tone.frequency.value = pitch;
      volume.gain.setValueAtTime(0, start);
      volume.gain.linearRampToValueAtTime(0.25, start + 0.02);
      volume.gain.linearRampToValueAtTime(0, start + 0.16);
      tone.connect(volume).connect(this.context.destination);
      tone.start(start);
      tone.stop(start + 0.17);
    });
  }
}
