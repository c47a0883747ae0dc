/** There are fewer bytes than the format needs at this place. Shared by every codec's error union; lengths in bytes. */
export type Short = { readonly kind: 'short'; readonly need: number; readonly have: number };

export const short = (need: number, have: number): { readonly ok: false; readonly error: Short } => ({
  ok: false,
  error: { kind: 'short', need, have },
});
