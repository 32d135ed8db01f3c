import { z } from 'zod';

// What a variable of the environment may be. Messages go on after its name, and never have the value.

const UNITS_MS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/** 90s, 15m, 1h, 2d: in milliseconds. */
export const duration = (minMs = 0) =>
  z.string().transform((text, context) => {
    const [, amount, unit] = /^(\d+(?:\.\d+)?)([smhd])$/.exec(text) ?? [];
    const ms = unit === undefined ? Number.NaN : Number(amount) * UNITS_MS[unit as keyof typeof UNITS_MS];
    if (ms >= minMs) return ms;
    context.addIssue({
      code: 'custom',
      message: `must be a duration such as 90s, 15m or 1h${minMs > 0 ? `, at least ${minMs / 1000}s` : ''}`,
    });
    return z.NEVER;
  });

export const number = (rule: { min: number; max?: number; whole?: boolean }) =>
  z.string().transform((text, context) => {
    const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
    const fits = value >= rule.min && value <= (rule.max ?? Number.MAX_SAFE_INTEGER);
    if (fits && (!rule.whole || Number.isInteger(value))) return value;
    const kind = rule.whole ? 'a whole number' : 'a number';
    const range = rule.max === undefined ? `of at least ${rule.min}` : `from ${rule.min} to ${rule.max}`;
    context.addIssue({ code: 'custom', message: `must be ${kind} ${range}` });
    return z.NEVER;
  });

export const flag = z
  .enum(['true', 'false'], { error: 'must be true or false' })
  .transform((text) => text === 'true');

export const onOff = z.enum(['on', 'off'], { error: 'must be on or off' }).transform((text) => text === 'on');

export const origins = z.string().transform((text, context) => {
  const given = text.split(',').map((origin) => origin.trim());
  // A browser's origin is compared as a whole: a * within one would match nobody.
  const isOrigin = (origin: string) =>
    URL.canParse(origin) && new URL(origin).origin === origin && !origin.includes('*');
  if (given.every((origin) => origin === '*' || isOrigin(origin))) return given;
  context.addIssue({
    code: 'custom',
    message: 'must be origins such as https://app.example.com, joined by commas, or *',
  });
  return z.NEVER;
});

export const url = (schemes: string[]) =>
  z.string().refine((text) => URL.canParse(text) && schemes.includes(new URL(text).protocol), {
    message: `must be an address that begins with ${schemes.map((scheme) => `${scheme}//`).join(' or ')}`,
  });

/** Without a slash at its end. */
export const partnerUrl = z
  .string()
  .refine(
    (text) => {
      if (!URL.canParse(text)) return false;
      const { protocol, hostname } = new URL(text);
      return protocol === 'https:' || (protocol === 'http:' && LOOPBACK.test(hostname));
    },
    { message: 'must be an https address (http only for loopback hosts)' },
  )
  .transform((text) => text.replace(/\/+$/, ''));

export const encryptionKeys = z.string().transform((text, context) => {
  const keys = text.split(',').map((key) => Buffer.from(key.trim(), 'base64'));
  const isCanonical = text.split(',').every((key, index) => keys[index]!.toString('base64') === key.trim());
  if (isCanonical && keys.every((key) => key.length === 32)) return keys;
  context.addIssue({
    code: 'custom',
    message: 'must be 32 bytes in base64, or several of them joined by commas',
  });
  return z.NEVER;
});
