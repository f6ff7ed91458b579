"use strict";
// The form works without this: it only says that something is being computed, and sends it with Ctrl+Enter.
const form = document.getElementById("form");
const state = document.getElementById("state");
const frame = document.getElementById("answer");
form.addEventListener("submit", () => { state.textContent = "Computing\u2026"; });
frame.addEventListener("load", () => {
  if (!state.textContent) return; // the empty frame of the start
  state.textContent = "";
  frame.classList.add("filled");
});
form.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});
