// The line profile: how localizations lie along a line, and how wide the peaks are.

const FWHM = 2 * Math.sqrt(2 * Math.log(2));
const FEWEST = 20;
// A peak more must raise the Bayesian information criterion by so much to be believed.
const BELIEVED = 10;

// Distances along the line, nm, of the localizations no farther from it than half the band.
function alongLine(table, line, band_nm) {
  const dx = line.x2 - line.x1;
  const dy = line.y2 - line.y1;
  const length = Math.hypot(dx, dy);
  const along = [];
  for (let i = 0; i < table.count; i++) {
    const x = table.x[i] - line.x1;
    const y = table.y[i] - line.y1;
    const t = (x * dx + y * dy) / length;
    if (t < 0 || t > length) continue;
    if (Math.abs(x * dy - y * dx) / length <= band_nm / 2000) along.push(1000 * t);
  }
  return Float64Array.from(along).sort();
}

// The Gaussian peaks over an even background that fit best, none, one or two, by maximum
// likelihood; a second one only where it is clearly apart from the first.
function fittedPeaks(along, length_nm) {
  if (along.length < FEWEST) return [];
  let best = { peaks: [], score: 2 * along.length * Math.log(length_nm) };
  for (const starts of startingPoints(along, length_nm)) {
    const fit = expectationMaximized(along, length_nm, starts);
    if (fit.score < best.score - BELIEVED && areApart(fit.peaks)) best = fit;
  }
  return best.peaks.sort((a, b) => a.at - b.at);
}

function areApart(peaks) {
  return peaks.length < 2
    || Math.abs(peaks[0].at - peaks[1].at) > 2 * Math.max(peaks[0].sigma, peaks[1].sigma);
}

// Where to begin: the fullest of 30 bins, and with it the fullest that is well away from it.
function startingPoints(along, length_nm) {
  const { counts, width } = histogram(along, length_nm, length_nm / 30);
  const smooth = counts.map((count, i) => (counts[i - 1] ?? 0) + 2 * count + (counts[i + 1] ?? 0));
  const first = smooth.indexOf(Math.max(...smooth));
  const away = smooth.map((count, i) => (Math.abs(i - first) > 3 ? count : -1));
  const second = away.indexOf(Math.max(...away));
  const middle = (bin) => (bin + 0.5) * width;
  return [[middle(first)], [middle(first), middle(second)]];
}

function expectationMaximized(along, length_nm, starts) {
  let peaks = starts.map((at) => ({ at, sigma: length_nm / 15, share: 0.8 / starts.length }));
  let score = Infinity;
  for (let round = 0; round < 300; round++) {
    const next = expectationStep(along, length_nm, peaks);
    const isDone = Math.abs(score - next.score) < 1e-6;
    ({ peaks, score } = next);
    if (isDone) break;
  }
  return { peaks, score };
}

// One round: to which peak each localization belongs, and the peaks that follow from that.
function expectationStep(along, length_nm, peaks) {
  const sums = peaks.map(() => ({ weight: 0, at: 0, square: 0 }));
  const flat = (1 - peaks.reduce((sum, peak) => sum + peak.share, 0)) / length_nm;
  const densities = peaks.map(() => 0);
  let logLikelihood = 0;
  for (const t of along) {
    let total = Math.max(flat, 1e-12);
    peaks.forEach((peak, k) => {
      const pull = (t - peak.at) / peak.sigma;
      densities[k] = (peak.share * Math.exp(-pull * pull / 2)) / (peak.sigma * Math.sqrt(2 * Math.PI));
      total += densities[k];
    });
    logLikelihood += Math.log(total);
    sums.forEach((sum, k) => {
      const weight = densities[k] / total;
      sum.weight += weight;
      sum.at += weight * t;
      sum.square += weight * (t - peaks[k].at) ** 2;
    });
  }
  const moved = sums.map((sum, k) => {
    const at = sum.at / (sum.weight || 1);
    const variance = sum.square / (sum.weight || 1) - (at - peaks[k].at) ** 2;
    return { at, sigma: Math.max(0.5, Math.sqrt(Math.max(0, variance))), share: sum.weight / along.length, count: sum.weight };
  });
  return { peaks: moved, score: 3 * peaks.length * Math.log(along.length) - 2 * logLikelihood };
}

function histogram(along, length_nm, wanted_nm) {
  const bins = Math.max(1, Math.round(length_nm / wanted_nm));
  const width = length_nm / bins;
  const counts = new Array(bins).fill(0);
  for (const t of along) counts[Math.min(bins - 1, Math.floor(t / width))]++;
  return { counts, width };
}

function profileText(along, peaks, length_nm, table) {
  const sample = table.count < 0.99 * table.total ? " of the sample in this page" : "";
  const found = `${along.length.toLocaleString("en")} localizations${sample} along ${rounded(length_nm)} nm`;
  if (along.length < FEWEST) return `${found}: too few for a width, which needs ${FEWEST}. Draw a longer line or widen the band.`;
  if (!peaks.length) return `${found}: no peak stands out from the background.`;
  const widths = peaks.map((peak) =>
    `${rounded(FWHM * peak.sigma)} ± ${rounded((FWHM * peak.sigma) / Math.sqrt(2 * peak.count), 2)} nm`);
  if (peaks.length === 1) return `Full width at half maximum ${widths[0]}; ${found}.`;
  return `Two peaks ${rounded(peaks[1].at - peaks[0].at)} nm apart, full widths at half maximum ${widths.join(" and ")}; ${found}.`;
}

// The profile as a drawing: bars of counts, the fitted curve, and the width of each peak.
function profileDrawing(along, peaks, length_nm, text) {
  const [width, height, left, bottom, top] = [640, 250, 58, 44, 16];
  const sigma = peaks.length ? Math.min(...peaks.map((peak) => peak.sigma)) : length_nm / 20;
  const bars = histogram(along, length_nm, Math.max(1, length_nm / 120, Math.min(length_nm / 25, sigma / 2)));
  const flat = along.length * (1 - peaks.reduce((sum, peak) => sum + peak.share, 0)) / length_nm;
  const curve = (t) => bars.width * peaks.reduce((sum, peak) =>
    sum + (peak.count * Math.exp(-(((t - peak.at) / peak.sigma) ** 2) / 2)) / (peak.sigma * Math.sqrt(2 * Math.PI)), flat);
  const highest = 1.1 * Math.max(1, ...bars.counts, ...peaks.map((peak) => curve(peak.at)));
  const x = (t) => left + (t / length_nm) * (width - left - 12);
  const y = (count) => height - bottom - (count / highest) * (height - bottom - top);
  const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": text });
  bars.counts.forEach((count, i) => svg.append(element("rect", {
    x: x(i * bars.width), y: y(count), width: x(bars.width) - x(0), height: y(0) - y(count), class: "bar",
  })));
  for (const t of ticks(length_nm)) svg.append(mark(x(t), y(0), x(t), y(0) + 5), label(x(t), y(0) + 18, rounded(t), "middle"));
  for (const count of ticks(highest, 4)) svg.append(mark(left - 5, y(count), left, y(count)), label(left - 8, y(count) + 4, rounded(count), "end"));
  svg.append(mark(left, top, left, y(0)), mark(left, y(0), x(length_nm), y(0)));
  svg.append(label((left + width) / 2, height - 6, "along the line, nm", "middle"));
  const across = label(14, (height - bottom + top) / 2, `localizations per ${rounded(bars.width)} nm`, "middle");
  across.setAttribute("transform", `rotate(-90 14 ${(height - bottom + top) / 2})`);
  svg.append(across);
  if (peaks.length) {
    const steps = Array.from({ length: 241 }, (_, i) => (i / 240) * length_nm);
    svg.append(element("polyline", { points: steps.map((t) => `${x(t)},${y(curve(t))}`).join(" "), class: "curve" }));
  }
  for (const peak of peaks) {
    const half = y((curve(peak.at) + flat * bars.width) / 2);
    const reach = (FWHM * peak.sigma) / 2;
    svg.append(element("line", { x1: x(peak.at - reach), y1: half, x2: x(peak.at + reach), y2: half, class: "width" }));
    svg.append(label(x(peak.at + reach) + 6, half + 4, `${rounded(FWHM * peak.sigma)} nm`, "start"));
  }
  return svg;
}

function ticks(end, wanted = 6) {
  const step = roundStep(end / wanted);
  return Array.from({ length: Math.floor(end / step + 1e-6) + 1 }, (_, i) => i * step);
}

// The smallest of 1, 2, 5, 10, ... that is no smaller.
function roundStep(least) {
  const decade = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((step) => step * decade).find((step) => step >= least * (1 - 1e-9));
}

// The largest of 1, 2, 5, 10, ... that is no larger.
function roundBelow(most) {
  const decade = 10 ** Math.floor(Math.log10(most));
  return [5, 2, 1].map((step) => step * decade).find((step) => step <= most * (1 + 1e-9));
}

function element(name, attributes, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

const mark = (x1, y1, x2, y2) => element("line", { x1, y1, x2, y2, class: "axis" });
const label = (x, y, text, anchor) => element("text", { x, y, "text-anchor": anchor }, text);
