// The chain of artifacts behind a cell: made when asked for, from nodes that stand here once.

const traceDialog = document.getElementById("trace");

function linkTo(path, text) {
  const encoded = path.split("/").map(encodeURIComponent).join("/");
  return element("a", { href: `${data().root}/${encoded}` }, text);
}

function pairs(entries) {
  return element("dl", { class: "pairs" }, entries.map(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));
}

function size(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = bytes ? Math.min(Math.floor(Math.log10(bytes) / 3), 4) : 0;
  return `${Number((bytes / 1000 ** power).toPrecision(3))} ${units[power]}`;
}

function fileList(artifact) {
  const line = ([name, bytes, digest]) => element("tr", {}, element("td", {}, linkTo(`${artifact.folder}/${name}`, name)), element("td", {}, size(bytes)), element("td", {}, element("code", {}, digest)));
  const head = element("tr", {}, ["file", "size", "xxh3"].map((name) => element("th", { scope: "col" }, name)));
  return element("table", { class: "files" }, element("thead", {}, head), element("tbody", {}, artifact.files.map(line)));
}

function textOf(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function node(key, role, above, opened) {
  const artifact = data().artifacts[key];
  if (!artifact) return element("li", {}, element("code", {}, key), " is not among the artifacts of this root");
  const again = above.has(key);
  above.add(key);
  const name = [role && element("span", { class: "role" }, role), element("b", {}, artifact.label), " ", element("span", { class: "kind" }, artifact.kind), " ", element("code", {}, key)];
  if (artifact.missing) return element("li", { "data-key": key }, name, element("p", { class: "lost" }, artifact.missing));
  if (again) return element("li", { "data-key": key }, name, element("span", { class: "again" }, " (as above)"));
  const params = Object.entries(artifact.params).map(([each, value]) => [each, textOf(value)]);
  const versions = Object.entries(data().versions[artifact.versions] || {});
  return element("li", { "data-key": key },
    element("details", { open: opened }, element("summary", {}, name),
      element("p", { class: "folder" }, linkTo(artifact.folder, artifact.folder)),
      fileList(artifact),
      params.length ? element("details", {}, element("summary", {}, `${params.length} params`), pairs(params)) : null,
      element("details", {}, element("summary", {}, `made by ${artifact.commit || "code of an unknown commit"}`), pairs(versions))),
    artifact.inputs.length ? element("ul", {}, artifact.inputs.map(([as, input]) => node(input, as, above, false))) : null);
}

function chain(keys, value = null) {
  if (!keys.length) return element("p", {}, value === null ? "No artifact: nothing was measured here." : "Not measured in this study: see the status above.");
  const above = new Set();
  return element("ul", { class: "chain" }, keys.map((key) => node(key, "", above, keys.length < 4)));
}

function cellFacts(cell) {
  const entries = [["value", exactly(cell.value)]];
  if (cell.value !== null) entries.push(["95 % interval", interval(cell.low, cell.high) || "none"]);
  for (const name of data().controls) if (name in cell) entries.push([words(name), exactly(cell[name])]);
  if (cell.num_seeds > 1) entries.push(["seeds", String(cell.num_seeds)]);
  entries.push(["status", `${words(cell.status)}: ${cell.reason || data().meanings[cell.status]}`]);
  return pairs(entries);
}

function openTrace(title, ...content) {
  document.getElementById("trace-title").textContent = title;
  document.getElementById("trace-body").replaceChildren(...content);
  if (!traceDialog.open) traceDialog.showModal();
  traceDialog.scrollTop = 0;
  document.getElementById("trace-title").focus();
}

function followAddress() {
  const [what, ...rest] = decodeURIComponent(location.hash.slice(1)).split("/");
  if (what === "cell") {
    const place = rest.map(Number);
    const cell = cellAt(place);
    if (!cell) return;
    openTrace(headersAt(place).join(" · "), cellFacts(cell), element("h3", {}, "Where it comes from"), chain(cell.keys, cell.value));
  } else if (what === "job") openTrace(`Job ${rest[0]}`, chain([rest[0]]));
  else if (traceDialog.open) traceDialog.close();
}

traceDialog.addEventListener("close", () => {
  if (/^#(cell|job)\//.test(location.hash)) history.replaceState(null, "", location.pathname + location.search);
});
addEventListener("hashchange", followAddress);
