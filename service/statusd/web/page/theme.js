// Runs before anything is painted, so that nobody who chose dark is blinded by a white flash.
const chosen = localStorage.getItem("statusd-theme");
if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
