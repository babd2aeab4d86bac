// Runs before anything is painted, so that nobody who chose dark is blinded by a white flash.
const chosen = localStorage.getItem("statusd-theme");
if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;

// The fleet is on its way while the modules still are; who takes it is `stream.js`.
if ("early" in document.currentScript.dataset) globalThis.early = fetch("api/units", { cache: "no-store" });
// At the door: whoever had to type a token anew goes back to what the address says was looked at.
else {
  addEventListener("DOMContentLoaded", () => document.forms[0].setAttribute("action", `login${location.hash}`));
  // Whoever follows a link of another site is shown the door, for the session is kept from it (SameSite=Strict).
  const goIn = (answer) => answer.ok && location.replace(`./${location.hash}`);
  fetch("api/me", { cache: "no-store" }).then(goIn, () => {}); // a server that doesn't answer: the form tells
}
