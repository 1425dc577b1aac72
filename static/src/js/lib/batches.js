// Files in batches that a server takes in one request each; a batch can be sent again, its files keep their numbers.
const MAX_FILES = 100;
const MAX_BYTES = 32e6;

export function planBatches(chosen) {
  const batches = [];
  chosen.forEach(({ file }, at) => {
    const last = batches.at(-1);
    if (last && last.files.length < MAX_FILES && last.bytes + file.size <= MAX_BYTES) {
      last.files.push(file);
      last.bytes += file.size;
    } else {
      batches.push({ first: at + 1, files: [file], bytes: file.size });
    }
  });
  return batches;
}

export function sendBatch(run, batch, token, progress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const body = new FormData();
    for (const file of batch.files) body.append("files", file, "file"); // names may hold identity: they stay here
    request.open("POST", `${run.files_url}?first=${batch.first}`);
    request.setRequestHeader("X-CSRFToken", token);
    request.setRequestHeader("Accept", "application/json");
    request.upload.addEventListener("progress", (event) => progress(event.loaded));
    request.addEventListener("load", () => (request.status < 300 ? resolve() : reject(new Error(reason(request)))));
    request.addEventListener("error", () => reject(new Error("the connection was lost")));
    request.addEventListener("abort", () => reject(new Error("it was cancelled")));
    run.request = request;
    request.send(body);
  });
}

function reason(request) {
  if ((request.getResponseHeader("content-type") || "").startsWith("application/json")) {
    return JSON.parse(request.responseText).error?.message || `the server answered ${request.status}`;
  }
  return `the server answered ${request.status}`;
}
