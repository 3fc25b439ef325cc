// SPDX-License-Identifier: MIT
// A picture to pan (drag) and zoom (wheel, click; with shift: out). The imaginary axis
// points up, that of the mouse down. One view is under way at a time: what the user
// wants meanwhile is sent when its picture has come.
function render({ model, el }) {
  const [ny, nx] = model.get("shape");
  const image = document.createElement("img");
  image.className = "hpcapp-explorer";
  image.draggable = false;
  Object.assign(image.style, { width: `${nx}px`, height: `${ny}px`, cursor: "crosshair" });
  const line = document.createElement("div");
  line.className = "hpcapp-explorer-line";
  el.append(image, line);

  let wanted = null, busy = false, address = null, grip = null;

  const send = () => {
    if (busy || wanted === null) return;
    busy = true;
    model.set("view", wanted);
    wanted = null;
    model.save_changes();
  };
  const current = () => wanted ?? model.get("view");
  const place = (event) => {
    const box = image.getBoundingClientRect(), [re, im, width] = current();
    const step = width / nx;
    return [
      re + ((event.clientX - box.left) * nx / box.width - nx / 2) * step,
      im - ((event.clientY - box.top) * ny / box.height - ny / 2) * step,
      step,
    ];
  };
  const zoom = (event, factor) => {
    const [x, y] = place(event), [re, im, width] = current();
    wanted = [x + (re - x) * factor, y + (im - y) * factor, width * factor];
    send();
  };

  image.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(event, event.deltaY < 0 ? 0.8 : 1.25);
  }, { passive: false });
  image.addEventListener("pointerdown", (event) => {
    grip = { x: event.clientX, y: event.clientY, view: current(), moved: false };
    image.setPointerCapture(event.pointerId);
  });
  image.addEventListener("pointermove", (event) => {
    if (grip === null) return;
    const dx = event.clientX - grip.x, dy = event.clientY - grip.y;
    if (Math.abs(dx) + Math.abs(dy) < 5 && !grip.moved) return;
    grip.moved = true;
    const [re, im, width] = grip.view;
    wanted = [re - dx * width / nx, im + dy * width / nx, width];
    send();
  });
  image.addEventListener("pointerup", (event) => {
    if (grip !== null && !grip.moved) zoom(event, event.shiftKey ? 2.0 : 0.5);
    grip = null;
  });

  const show = () => {
    const data = model.get("picture");
    if (!data || data.byteLength === 0) return;
    if (address !== null) URL.revokeObjectURL(address);
    address = URL.createObjectURL(new Blob([data], { type: "image/png" }));
    image.src = address;
  };
  const ready = () => {
    line.textContent = model.get("line");
    image.dataset.frames = model.get("frames");
    busy = false;
    send();
  };
  model.on("change:picture", show);
  model.on("change:frames", ready);
  show();
  ready();
  return () => { if (address !== null) URL.revokeObjectURL(address); };
}
export default { render };
