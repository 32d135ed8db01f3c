import { compare, type Operand, operate, parseMoment, toTyped } from './operands.ts';
import { RefusedQueryError } from './refused-query.ts';

/** Where an expression finds what it names. */
export interface Scope {
  property(name: string): unknown;
  /** How often somebody did what a behavior selects. */
  behavior(name: string): unknown;
}

/** An expression of Mixpanel's segmentation language. Throws RefusedQueryError when it joins what cannot be joined. */
export type Expression = (scope: Scope) => Operand;

const TOKENS =
  /\s*(?:(?<number>\d+(?:\.\d+)?)|(?<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?<word>[A-Za-z_]+)|(?<sign>[=!<>]=|[-+*/%<>()[\],]))/gy;

/** More cannot be nested, or joined, without end. */
const MAX_TOKENS = 2_000;
const MAX_NESTED = 200;
/** Of an expression that is refused. */
const MAX_SHOWN = 200;

type Token = { kind: 'number' | 'text' | 'word' | 'sign' | 'end'; text: string };

/** From the loosest to the tightest; `not` stands between the second and the third. */
const LEVELS = [['or'], ['and'], ['==', '!=', '>', '>=', '<', '<=', 'in'], ['+', '-'], ['*', '/', '%']];
const COMPARISONS = 2;

const LITERALS: Record<string, Operand> = { true: true, false: false, null: null, undefined: undefined };

const FUNCTIONS: Record<string, (value: Operand) => Operand> = {
  defined: (value) => value !== undefined,
  boolean: (value) => (value === 'true' || value === 'false' ? value === 'true' : Boolean(value)),
  number: toNumber,
  string: (value) => (value === undefined || value === null ? value : String(value)),
  floor: (value) => (typeof value === 'number' ? Math.floor(value) : undefined),
  round: (value) => (typeof value === 'number' ? Math.round(value) : undefined),
  ceil: (value) => (typeof value === 'number' ? Math.ceil(value) : undefined),
  datetime: toMoment,
};

/** Reads a text like `properties["plan"] == "pro" and not defined(properties["$email"])`. Throws RefusedQueryError. */
export function parseExpression(text: string): Expression {
  const tokens = tokenize(text);
  let at = 0;
  const isNext = (sign: string) => tokens[at]!.text === sign && tokens[at]!.kind !== 'text';
  const take = (sign: string) => {
    if (!isNext(sign)) throw unreadable(text);
    at++;
  };

  function binary(level: number): Expression {
    if (level === COMPARISONS && isNext('not')) {
      at++;
      const inner = binary(level);
      return (scope) => negate(inner(scope));
    }
    if (level === LEVELS.length) return unary();
    let left = binary(level + 1);
    for (let sign = LEVELS[level]!.find(isNext); sign; sign = LEVELS[level]!.find(isNext)) {
      at++;
      const [first, operator, second] = [left, sign, binary(level + 1)];
      left =
        level < COMPARISONS
          ? (scope) => join(operator, first(scope), () => second(scope))
          : level === COMPARISONS
            ? (scope) => compare(operator, first(scope), second(scope))
            : (scope) => operate(operator, first(scope), second(scope));
    }
    return left;
  }

  function unary(): Expression {
    if (!isNext('-')) return primary();
    at++;
    const inner = unary();
    return (scope) => operate('-', 0, inner(scope));
  }

  function primary(): Expression {
    const token = tokens[at]!;
    at++;
    if (token.kind === 'number') return () => Number(token.text);
    if (token.kind === 'text') return () => unquote(token.text);
    if (token.kind === 'word') return named(token.text);
    if (token.text === '[') return list();
    if (token.text !== '(' || token.kind !== 'sign') throw unreadable(text);
    const inner = binary(0);
    take(')');
    return inner;
  }

  function list(): Expression {
    const items: Expression[] = [];
    while (!isNext(']')) {
      if (items.length > 0) take(',');
      items.push(binary(0));
    }
    take(']');
    return (scope) => items.map((item) => item(scope));
  }

  function named(word: string): Expression {
    if (Object.hasOwn(LITERALS, word)) return () => LITERALS[word];
    if (Object.hasOwn(FUNCTIONS, word)) {
      take('(');
      const inner = binary(0);
      take(')');
      return (scope) => FUNCTIONS[word]!(inner(scope));
    }
    if (!['properties', 'user', 'behaviors'].includes(word)) throw unreadable(text);
    take('[');
    const name = tokens[at++]!;
    if (name.kind !== 'text') throw unreadable(text);
    take(']');
    const key = unquote(name.text);
    return word === 'behaviors'
      ? (scope) => toTyped(scope.behavior(key))
      : (scope) => toTyped(scope.property(key));
  }

  const whole = binary(0);
  if (tokens[at]!.kind !== 'end') throw unreadable(text);
  return whole;
}

function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let end = 0;
  for (const match of text.matchAll(TOKENS)) {
    const [kind, found] = Object.entries(match.groups!).find(([, value]) => value !== undefined)!;
    tokens.push({ kind: kind as Token['kind'], text: found! });
    end = match.index + match[0].length;
  }
  const nested = tokens.filter((token) => ['(', '[', '-', 'not'].includes(token.text)).length;
  if (text.slice(end).trim() !== '' || tokens.length > MAX_TOKENS || nested > MAX_NESTED)
    throw unreadable(text);
  return [...tokens, { kind: 'end', text: '' }];
}

/** What is undefined counts as false, what is no boolean is refused. */
function join(operator: string, left: Operand, right: () => Operand): boolean {
  if (operator === 'or') return toTruth(left) || toTruth(right());
  return toTruth(left) && toTruth(right());
}

function toTruth(value: Operand): boolean {
  if (value === undefined || typeof value === 'boolean') return value ?? false;
  throw new RefusedQueryError('and, or: operands must be boolean');
}

function negate(value: Operand): Operand {
  return value === undefined || typeof value === 'boolean' ? !value : undefined;
}

function toNumber(value: Operand): Operand {
  if (typeof value === 'boolean') return Number(value);
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  return typeof number === 'number' && !Number.isNaN(number) ? number : undefined;
}

/** From a text or seconds since the epoch. */
function toMoment(value: Operand): Operand {
  if (typeof value === 'number') return new Date(value * 1000);
  return typeof value === 'string' ? toTyped(parseMoment(value)) : undefined;
}

function unquote(text: string): string {
  return text.slice(1, -1).replaceAll(/\\(.)/g, '$1');
}

function unreadable(text: string): RefusedQueryError {
  return new RefusedQueryError(`Unable to parse selector: ${text.slice(0, MAX_SHOWN)}`);
}
