/** A volume that is shown before all of it is there: the parts in its middle are asked for first. */
import { downloadPart } from "./api";

const HEAD_BYTES = 352;
/** Holds several slices of most volumes, and takes a fraction of a second. */
const PART_BYTES = 2 ** 24;

export interface Arriving {
  /** As long as the whole, with its head and its middle there. */
  begun: Promise<ArrayBuffer>;
  /** The same, complete. */
  whole: Promise<ArrayBuffer>;
}

/** Download an uncompressed NIfTI file, until that is not wanted any more. */
export function receive(path: string, signal: AbortSignal): Arriving {
  let begin: (content: ArrayBuffer) => void = () => undefined;
  const middle = new Promise<ArrayBuffer>((resolve) => (begin = resolve));
  const whole = (async () => {
    const head = await downloadPart(path, 0, HEAD_BYTES, signal);
    const content = new Uint8Array(head.total);
    content.set(head.content);
    for (const [start, stop] of partsOf(head.total)) {
      content.set((await downloadPart(path, start, stop, signal)).content, start);
      begin(content.buffer);
    }
    return content.buffer;
  })();
  return { begun: Promise.race([middle, whole]), whole };
}

/** Ranges of bytes that cover all but the head; the one around the middle first, the end last. */
function partsOf(total: number): [number, number][] {
  const low = Math.max(HEAD_BYTES, Math.floor((total - PART_BYTES) / 2));
  const high = Math.min(total, low + PART_BYTES);
  return [[low, high], ...inParts(HEAD_BYTES, low), ...inParts(high, total)];
}

function inParts(start: number, stop: number): [number, number][] {
  const count = Math.ceil((stop - start) / PART_BYTES);
  const from = (index: number) => start + index * PART_BYTES;
  return Array.from({ length: count }, (_, index) => [from(index), Math.min(from(index + 1), stop)]);
}
