// Files by tus: some at a time, each in pieces, each resumed where the connection broke off.
import { Upload } from "tus-js-client";

const AT_A_TIME = 4;
const PIECE_BYTES = 8 * 1024 * 1024;
const RETRY_AFTER_MS = [0, 500, 1000, 2000, 4000, 8000];

export class Sending {
  // `files` are numbered from 1 in their order; `progress(bytes)` is told how many bytes of all files are there.
  constructor(files, address, headers, progress) {
    this.files = files;
    this.address = address;
    this.headers = headers;
    this.progress = progress;
    this.sent = files.map(() => 0);
    this.done = files.map(() => false);
    this.uploads = files.map(() => null);
  }

  async all() {
    let next = 0;
    let failed = null;
    const lane = async () => {
      while (next < this.files.length && !failed) {
        const at = next++;
        if (this.done[at]) continue;
        try {
          await this.one(at);
        } catch (error) {
          failed ??= error;
        }
      }
    };
    await Promise.all(Array.from({ length: AT_A_TIME }, lane));
    if (failed) throw failed;
  }

  one(at) {
    return new Promise((resolve, reject) => {
      const former = this.uploads[at];
      const upload = new Upload(this.files[at], {
        endpoint: this.address,
        uploadUrl: former?.url ?? null,
        headers: this.headers,
        metadata: { number: String(at + 1) }, // names may hold identity: they stay here
        chunkSize: PIECE_BYTES,
        uploadDataDuringCreation: true,
        storeFingerprintForResuming: false,
        retryDelays: RETRY_AFTER_MS,
        onProgress: (bytes) => this.told(at, bytes),
        onSuccess: () => {
          this.done[at] = true;
          this.told(at, this.files[at].size);
          resolve();
        },
        onError: (error) => reject(new Error(reason(error))),
      });
      this.uploads[at] = upload;
      upload.start();
    });
  }

  told(at, bytes) {
    this.sent[at] = bytes;
    this.progress(this.sent.reduce((total, one) => total + one, 0));
  }

  async stop() {
    await Promise.all(this.uploads.map((upload, at) => (upload && !this.done[at] ? upload.abort() : null)));
  }
}

function reason(error) {
  const answer = error.originalResponse;
  if (!answer) return "the connection was lost";
  try {
    return JSON.parse(answer.getBody()).error.message;
  } catch {
    return `the server answered ${answer.getStatus()}`;
  }
}
