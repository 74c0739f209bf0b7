// What every page does: light or dark by a button, wide tables moved by the keyboard, and
// everything unfolded when printed.

const themeButton = document.querySelector("button.theme");
const darkQuery = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.theme ?? (darkQuery.matches ? "dark" : "light")) === "dark";
const nameTheme = () => { themeButton.textContent = isDark() ? "Light page" : "Dark page"; };
themeButton.hidden = false;
themeButton.addEventListener("click", () => {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  nameTheme();
});
darkQuery.addEventListener("change", nameTheme);
nameTheme();

// What is wider than its box can be reached with the tab key and moved with the arrows.
const reachWide = () => {
  for (const box of document.querySelectorAll(".table, .wide, nav")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
};
reachWide();
addEventListener("resize", reachWide);
document.addEventListener("toggle", reachWide, true);

addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details")) details.open = true;
});
