// The form and the drawing of the line profile.
class Profile {
  constructor(viewer) {
    this.viewer = viewer;
    this.form = viewer.box.querySelector("form.profile");
    if (!this.form) return;
    this.catcher = viewer.box.querySelector(".catcher");
    this.button = viewer.box.querySelector('[data-act="measure"]');
    this.button.addEventListener("click", () => this.setMeasuring(this.catcher.hidden));
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.measure(this.typed());
    });
    this.catcher.addEventListener("pointerdown", (event) => this.press(event));
    this.catcher.addEventListener("pointermove", (event) => this.start && this.lay(event));
    this.catcher.addEventListener("pointerup", (event) => this.release(event));
    addEventListener("keydown", (event) => event.key === "Escape" && this.setMeasuring(false));
  }

  setMeasuring(isOn) {
    this.catcher.hidden = !isOn;
    this.button.setAttribute("aria-pressed", isOn);
    this.start = null;
    if (isOn) this.form.closest("details").open = true;
  }

  press(event) {
    if (this.start) return this.finish(event); // the second of two clicks
    this.start = this.viewer.place(event);
    this.pressed = { x: event.clientX, y: event.clientY };
    this.catcher.setPointerCapture(event.pointerId);
    return undefined;
  }

  release(event) {
    if (this.start && Math.hypot(event.clientX - this.pressed.x, event.clientY - this.pressed.y) > 6) this.finish(event);
  }

  lay(event) {
    const end = this.viewer.place(event);
    this.viewer.line = { x1: this.start.x, y1: this.start.y, x2: end.x, y2: end.y };
    this.viewer.zoomer.forceRedraw();
  }

  finish(event) {
    this.lay(event);
    this.setMeasuring(false);
    for (const [name, value] of Object.entries(this.viewer.line)) this.form.elements[name].value = value.toFixed(4);
    this.measure(this.viewer.line);
  }

  typed() {
    return Object.fromEntries(["x1", "y1", "x2", "y2"].map((name) => [name, Number(this.form.elements[name].value)]));
  }

  measure(line) {
    const { viewer, form } = this;
    viewer.line = line;
    const output = form.parentElement.querySelector(".result");
    const length_nm = 1000 * Math.hypot(line.x2 - line.x1, line.y2 - line.y1);
    const layer = viewer.table(viewer.right) ? viewer.right : viewer.left;
    const table = viewer.table(layer);
    if (!(length_nm > 0) || !table) {
      output.textContent = table ? "The line has no length." : "There are no localizations on either side to measure.";
      return;
    }
    const along = alongLine(table, line, Number(form.elements.band.value));
    const peaks = fittedPeaks(along, length_nm);
    const said = document.createElement("p");
    said.textContent = `${layer.label}: ${profileText(along, peaks, length_nm, table)}`;
    output.replaceChildren(said, profileDrawing(along, peaks, length_nm, said.textContent));
    viewer.zoomer.forceRedraw();
  }

  draw(context, view) {
    const { line } = this.viewer;
    if (!line) return;
    const point = (x, y) => [(x - view.left_um) * view.scale, (y - view.top_um) * view.scale];
    const from = point(line.x1, line.y1);
    const to = point(line.x2, line.y2);
    const band = (Number(this.form.elements.band.value) / 1000) * view.scale;
    for (const [colour, width] of [["rgb(255 255 255 / 25%)", band], ["#000", 4 * view.sharpness], ["#fff", 2 * view.sharpness]]) {
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.beginPath();
      context.moveTo(...from);
      context.lineTo(...to);
      context.stroke();
    }
  }
}
