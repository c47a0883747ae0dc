export { type Dissection, dissect } from './dissect.ts';
export { DrbdConversation, type DrbdSight, drbdProtocol } from './drbd.ts';
export { renderJson, renderMessage } from './render.ts';
export { STREAM_PROTOCOLS } from './streams.ts';
export type { CapturedMessage, Conversation, Direction, Field, FieldValue, Message, StreamProtocol } from './types.ts';
