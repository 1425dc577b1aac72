// All files of a drop, folders opened wholly; rubbish that file managers leave is passed over.
const RUBBISH = /(^|\/)(\.DS_Store|Thumbs\.db|desktop\.ini|\._[^/]*)$/i;

export async function filesOf(transfer) {
  // Both have to be asked for before the first await: the transfer is emptied after the event.
  const items = [...transfer.items].filter((item) => item.kind === "file");
  const dropped = items.map((item) => ({ entry: item.webkitGetAsEntry?.(), file: item.getAsFile() }));
  const found = [];
  for (const { entry, file } of dropped) {
    if (entry) await gather(entry, found);
    else if (file) found.push({ path: file.name, file }); // a file without an entry: dragged from another page or program
  }
  return found.filter((one) => !RUBBISH.test(one.path));
}

async function gather(entry, found) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    found.push({ file, path: entry.fullPath.replace(/^\//, "") });
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const children = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!children.length) return;
    for (const child of children) await gather(child, found);
  }
}
