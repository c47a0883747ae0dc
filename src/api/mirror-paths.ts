/** Where the mirrors that `holdfast mirror up` started are found: a few files for each, below /run. */
export const MIRROR_FOLDER = '/run/holdfast/mirror';
export const mirrorPaths = (
  folder: string,
  name: string,
): { readonly socket: string; readonly nbd: string; readonly log: string } => ({
  socket: `${folder}/${name}.sock`,
  nbd: `${folder}/${name}.nbd`,
  log: `${folder}/${name}.log`,
});
