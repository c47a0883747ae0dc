/** The reader process: one request, one answer, and it is gone. */
import { parentPort } from '../channel.ts';
import type { ReadAnswer, ReadRequest } from '../messages.ts';
import { readConfiguration } from './read.ts';

const port = parentPort<ReadAnswer, ReadRequest>();
port.closed(() => process.exit(0));
port.receive((request) => port.send(readConfiguration(request)));
