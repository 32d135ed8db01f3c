import { z } from 'zod';

/** A name that people give: something to see, of bounded length, that PostgreSQL can hold. */
export const nameRule = z
  .string()
  .max(200, { message: 'must have at most 200 characters.' })
  .refine((name) => name.trim() !== '' && !name.includes('\0'), {
    message: 'must have 1 to 200 characters, not only blanks.',
  });

/** Something that is passed on to a partner as it is. */
export const credentialRule = z
  .string()
  .regex(/^[\x21-\x7e]{1,500}$/, { message: 'must have 1 to 500 printable characters without blanks.' });

/** What a person may be looked up by; no partner has longer ones. */
export const personKeyRule = z
  .string()
  .max(2000, { message: 'must have at most 2000 characters.' })
  .refine((text) => !text.includes('\0'), { message: 'must not hold the character NUL.' });

export const monthRule = z
  .string()
  .regex(/^\d{4}-(0[1-9]|1[0-2])$/, { message: 'must be a month: YYYY-MM, for example 2026-01.' });

/** Iterable has shorter ones. */
export const eventNameRule = z
  .string()
  .min(1, { message: 'must not be empty.' })
  .max(255, { message: 'must have at most 255 characters.' })
  .refine((text) => !text.includes('\0'), { message: 'must not hold the character NUL.' });
