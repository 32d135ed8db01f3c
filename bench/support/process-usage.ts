import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

/** Linux counts CPU time in hundredths of a second (USER_HZ), whatever the kernel's own clock is. */
const TICKS_PER_SECOND = 100;

/** CPU seconds of a process, its children and those it has waited for. */
export function cpuSecondsOf(pid: number): number {
  let ticks = 0;
  for (const entry of readdirSync('/proc')) {
    const fields = /^\d+$/.test(entry) ? readStat(entry) : undefined;
    // Fields 14 to 17 of proc(5), counted after the name: user and system time, its own and of children that ended.
    if (fields && (Number(entry) === pid || Number(fields[1]) === pid)) {
      ticks += Number(fields[11]) + Number(fields[12]) + Number(fields[13]) + Number(fields[14]);
    }
  }
  return ticks / TICKS_PER_SECOND;
}

/** The most memory that a process has had, in bytes. */
export function peakMemoryOf(pid: number): number {
  const [, kilobytes] = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes) * 1024;
}

/** From now on its peak is what it has now. */
export function forgetPeakMemoryOf(pid: number): void {
  // clear_refs in proc(5).
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

function readStat(pid: string): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    // It ended meanwhile.
    return undefined;
  }
}
