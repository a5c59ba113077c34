// Calls our test service by grpc-js: `node calls.js ADDRESS CASE [CA.pem]`.
// Prints what the caller was told, as JSON; messages by their sizes.
import { readFileSync } from 'node:fs';

import grpc from '@grpc/grpc-js';

const [address, name, caFile] = process.argv.slice(2);
const SERVICE = '/contract.Test/';
const REQUEST_SIZES = [27_182, 8, 1_828, 45_904];
const RESPONSE_SIZES = [31_415, 9, 2_653, 58_979];

const credentials = caFile
  ? grpc.credentials.createSsl(readFileSync(caFile))
  : grpc.credentials.createInsecure();
const GZIP = { 'grpc.default_compression_algorithm': grpc.compressionAlgorithms.gzip };
const client = new grpc.Client(address, credentials, name === 'compressed' ? GZIP : {});
const bytes = (message) => message;

// What the test service takes for "answer with so many bytes", followed by padding.
const order = (size, padding = 0) => Buffer.concat([Buffer.from(`${size} `), Buffer.alloc(padding)]);

const deadline = (ms = 20_000) => ({ deadline: Date.now() + ms });

function metadataOf(pairs) {
  const metadata = new grpc.Metadata();
  for (const [key, value] of pairs) metadata.add(key, value);
  return metadata;
}

// Buffers as arrays of numbers, so that JSON shows them.
function pairsOf(metadata) {
  const keys = Object.keys(metadata.getMap());
  return keys.flatMap((key) => metadata.get(key).map((value) => [key, shown(value)]));
}

const shown = (value) => (Buffer.isBuffer(value) ? [...value] : value);

// Everything that a call ends with. `begin` makes it with a callback for the one response.
function outcome(begin) {
  return new Promise((resolve) => {
    const seen = { sizes: [] };
    const call = begin((error, response) => {
      if (response) seen.sizes.push(response.length);
    });
    call.on('metadata', (metadata) => (seen.initial = pairsOf(metadata)));
    call.on('data', (response) => seen.sizes.push(response.length));
    call.on('error', () => {}); // the status says it too
    call.on('status', ({ code, details, metadata }) => {
      // The callback of a unary call comes behind this.
      setImmediate(() => resolve({ ...seen, code, details, trailing: pairsOf(metadata) }));
    });
  });
}

const unary = (method, request, { metadata = [], options = deadline() } = {}) =>
  outcome((back) =>
    client.makeUnaryRequest(
      SERVICE + method, bytes, bytes, request, metadataOf(metadata), options, back));

function echoing(metadata) {
  const begin = (back) =>
    client.makeUnaryRequest(
      `${SERVICE}Metadata`, bytes, bytes, Buffer.alloc(0), metadataOf(metadata), deadline(), back);
  return new Promise((resolve, reject) => {
    begin((error, response) => (error ? reject(error) : resolve(response.toString())));
  });
}

const CASES = {
  empty: () => unary('Empty', Buffer.alloc(0)),
  unary: () => unary('Unary', order(314_159, 271_828)),
  largest: () => unary('Unary', order(1_048_576, 1_048_576 - order(1_048_576).length)),
  tooLarge: () => unary('Empty', Buffer.alloc(1_048_577)),
  compressed: () => unary('Compressed', order(314_159, 271_828)),
  status: () => unary('Status', Buffer.from('9 précondition\t☃ 100% 😈')),
  abort: () => unary('Abort', Buffer.alloc(0)),
  unimplemented: () => unary('Unheard', Buffer.alloc(0)),
  deadline: async () => {
    await unary('Empty', Buffer.alloc(0)); // or the time might be over before it is connected
    return unary('Wait', Buffer.alloc(0), { options: deadline(200) });
  },

  metadataSeen: () => echoing([['a', '1'], ['a', '2'], ['b-bin', Buffer.from([0, 255])]]),

  metadataEchoed: () =>
    unary('Unary', order(1), {
      metadata: [
        ['x-grpc-test-echo-initial', 'initial'],
        ['x-grpc-test-echo-trailing-bin', Buffer.from([171, 0, 171])],
      ],
    }),

  // Cancels when it is told to, by a line.
  cancel: () =>
    outcome((back) => {
      const call = client.makeUnaryRequest(
        `${SERVICE}Wait`, bytes, bytes, Buffer.alloc(0), deadline(), back);
      process.stdin.once('data', () => {
        process.stdin.pause();
        call.cancel();
      });
      return call;
    }),

  clientStreaming: () =>
    outcome((back) => {
      const call = client.makeClientStreamRequest(
        `${SERVICE}Input`, bytes, bytes, deadline(), back);
      for (const size of REQUEST_SIZES) call.write(Buffer.alloc(size));
      call.end();
      return call;
    }),

  serverStreaming: () =>
    outcome(() =>
      client.makeServerStreamRequest(
        `${SERVICE}Output`, bytes, bytes, Buffer.from(RESPONSE_SIZES.join(' ')), deadline())),

  // Each request is sent when the response to the one before has come.
  bidi: () =>
    outcome(() => {
      const call = client.makeBidiStreamRequest(`${SERVICE}Duplex`, bytes, bytes, deadline());
      let turn = 0;
      const next = () => {
        if (turn === REQUEST_SIZES.length) call.end();
        else call.write(order(RESPONSE_SIZES[turn], REQUEST_SIZES[turn]));
        turn += 1;
      };
      call.on('data', next);
      next();
      return call;
    }),

  // More than all windows hold, both ways at once.
  bidiFlood: () =>
    outcome(() => {
      const call = client.makeBidiStreamRequest(`${SERVICE}Duplex`, bytes, bytes, deadline());
      for (let i = 0; i < 20; i += 1) call.write(order(500_000, 500_000));
      call.end();
      return call;
    }),

  many: async () => {
    const sizes = [...Array(300).keys()];
    const ended = await Promise.all(sizes.map((size) => unary('Unary', order(size))));
    return ended.map(({ sizes: [size], code }) => [code, size]);
  },
};

console.log(JSON.stringify(await CASES[name]()));
client.close();
