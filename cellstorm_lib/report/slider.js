for (const compare of document.querySelectorAll(".compare")) {
  const slider = compare.querySelector("input");
  const move = () => compare.style.setProperty("--split", slider.value + "%");
  slider.hidden = false;
  slider.addEventListener("input", move);
  move();
}
addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details")) details.open = true;
});
