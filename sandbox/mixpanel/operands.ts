/** What an expression computes with. */
export type Operand = string | number | boolean | Date | null | undefined | Operand[];

/** A value of a profile; objects are nothing that can be compared. */
export function toTyped(value: unknown): Operand {
  if (Array.isArray(value)) return value.map(toTyped);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? undefined : value;
  return typeof value === 'object' && value !== null ? undefined : (value as Operand);
}

/** Of different types nothing is equal, and nothing larger or smaller: that is undefined. */
export function compare(operator: string, left: Operand, right: Operand): Operand {
  if (operator === 'in') return isIn(left, right);
  const [first, second] = align(left, right);
  if (operator === '==') return first === second;
  if (operator === '!=') return first !== second;
  if (typeof first !== typeof second || (typeof first !== 'number' && typeof first !== 'string')) {
    return undefined;
  }
  const [a, b] = [first, second as typeof first];
  if (operator === '>') return a > b;
  if (operator === '>=') return a >= b;
  return operator === '<' ? a < b : a <= b;
}

export function operate(operator: string, left: Operand, right: Operand): Operand {
  if (operator === '+' && typeof left === 'string' && typeof right === 'string') return left + right;
  if (typeof left !== 'number' || typeof right !== 'number') return undefined;
  if (operator === '+') return left + right;
  if (operator === '-') return left - right;
  if (operator === '*') return left * right;
  if (right === 0) return undefined;
  return operator === '/' ? left / right : left % right;
}

/** One of a list, or a part of a text. */
function isIn(left: Operand, right: Operand): Operand {
  if (Array.isArray(right)) return right.some((one) => compare('==', left, one) === true);
  return typeof left === 'string' && typeof right === 'string' ? right.includes(left) : undefined;
}

/** Moments compare as numbers; a profile holds them as texts. */
function align(left: Operand, right: Operand): [Operand, Operand] {
  if (!(left instanceof Date) && !(right instanceof Date)) return [left, right];
  return [toMs(left), toMs(right)];
}

function toMs(value: Operand): Operand {
  const moment = typeof value === 'string' ? parseMoment(value) : value;
  return moment instanceof Date && !Number.isNaN(moment.getTime()) ? moment.getTime() : undefined;
}

/** Times carry no zone: they are UTC. */
export function parseMoment(text: string): Date {
  return new Date(/T[\d:.]+$/.test(text) ? `${text}Z` : text);
}
