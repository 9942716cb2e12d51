// A figure fills the screen and can be enlarged by wheel, keys and buttons, and moved.

const lightbox = document.getElementById("lightbox");
const stage = document.getElementById("stage");
const figures = [...document.querySelectorAll("button.figure")];
const MOST = 24;
const look = { index: 0, zoom: 1, x: 0, y: 0 };

function place() {
  const image = stage.firstElementChild;
  look.zoom = Math.min(Math.max(look.zoom, 1), MOST);
  const [width, height] = [stage.clientWidth, stage.clientHeight];
  const ratio = (image.naturalWidth || 4) / (image.naturalHeight || 3);
  const fitted = Math.min(width, height * ratio);
  // Sizes rather than a transform: a vector picture is drawn anew, sharp at every zoom.
  const shown = [fitted * look.zoom, (fitted / ratio) * look.zoom];
  const most = [Math.max(0, (shown[0] - width) / 2), Math.max(0, (shown[1] - height) / 2)];
  look.x = Math.min(Math.max(look.x, -most[0]), most[0]);
  look.y = Math.min(Math.max(look.y, -most[1]), most[1]);
  image.style.width = `${shown[0]}px`;
  image.style.height = `${shown[1]}px`;
  image.style.left = `${(width - shown[0]) / 2 + look.x}px`;
  image.style.top = `${(height - shown[1]) / 2 + look.y}px`;
  stage.dataset.zoom = look.zoom.toFixed(3);
}

// What lies under the given point stays under it.
function zoom(factor, x = 0, y = 0) {
  const before = look.zoom;
  look.zoom = Math.min(Math.max(before * factor, 1), MOST);
  const change = look.zoom / before;
  look.x = x - (x - look.x) * change;
  look.y = y - (y - look.y) * change;
  place();
}

function showFigure(index) {
  Object.assign(look, { index: (index + figures.length) % figures.length, zoom: 1, x: 0, y: 0 });
  const small = figures[look.index].querySelector("img");
  document.getElementById("lightbox-title").textContent = small.alt;
  document.getElementById("lightbox-caption").textContent = figures[look.index].nextElementSibling.lastElementChild.textContent;
  const image = element("img", { src: small.src, alt: small.alt, draggable: "false" });
  stage.replaceChildren(image);
  if (!lightbox.open) lightbox.showModal();
  image.decode().then(place, place);
  place();
  stage.focus();
}

function figureKeys(event) {
  const step = 60;
  const acts = {
    "+": () => zoom(1.3), "=": () => zoom(1.3), "-": () => zoom(1 / 1.3), 0: () => zoom(0),
    ArrowLeft: () => { look.x += step; place(); }, ArrowRight: () => { look.x -= step; place(); },
    ArrowUp: () => { look.y += step; place(); }, ArrowDown: () => { look.y -= step; place(); },
    n: () => showFigure(look.index + 1), p: () => showFigure(look.index - 1),
  };
  if (!acts[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  acts[event.key]();
}

figures.forEach((button, index) => button.addEventListener("click", () => showFigure(index)));
lightbox.addEventListener("keydown", figureKeys);
lightbox.addEventListener("close", () => figures[look.index].focus());
for (const button of lightbox.querySelectorAll("[data-zoom]")) {
  button.addEventListener("click", () => zoom({ "-1": 1 / 1.5, 0: 0, 1: 1.5 }[button.dataset.zoom]));
}
stage.addEventListener("wheel", (event) => {
  event.preventDefault();
  const box = stage.getBoundingClientRect();
  zoom(Math.exp(-event.deltaY / 400), event.clientX - box.left - box.width / 2, event.clientY - box.top - box.height / 2);
}, { passive: false });
stage.addEventListener("pointerdown", (event) => {
  stage.setPointerCapture(event.pointerId);
  const move = (moved) => { look.x += moved.movementX; look.y += moved.movementY; place(); };
  stage.addEventListener("pointermove", move);
  stage.addEventListener("lostpointercapture", () => stage.removeEventListener("pointermove", move), { once: true });
});
addEventListener("resize", () => { if (lightbox.open) place(); });
