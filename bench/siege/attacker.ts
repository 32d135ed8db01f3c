import { attacks } from './attacks.ts';

/** The process of the attacker. */
process.on('disconnect', () => process.exit());
process.on('message', ({ name, target }) => {
  attacks[name]!.run(target).then(
    (told) => process.send?.({ told }),
    (error: NodeJS.ErrnoException) => process.send?.({ told: { [error.code ?? error.message]: 1 } }),
  );
});
