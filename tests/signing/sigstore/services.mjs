// Fulcio and Rekor on 127.0.0.1: the stand-ins that Sigstore's JavaScript client is tested with, by the same people.
//
// usage: node services.mjs ISSUER
//
// Prints their trust configuration (ClientTrustConfig) on one line and runs until it is ended. Certificates are issued
// for tokens of ISSUER alone; unlike Fulcio, the signature of a token is not looked at.

import { createHash, generateKeyPairSync } from 'crypto';
import http from 'http';

import { fulcioHandler, initializeCA, initializeCTLog, initializeTLog, rekorHandler } from '@sigstore/mock';

const issuer = process.argv[2];
const start = new Date(Date.now() - 60_000).toISOString();
const newKey = () => generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
const sha256 = (data) => createHash('sha256').update(data).digest();

const ctlog = await initializeCTLog(newKey());
const ca = await initializeCA(newKey(), ctlog);

const server = http.createServer(async (request, response) => {
  let body = '';
  for await (const piece of request) body += piece;
  const answer = await handle(request, body);
  response.writeHead(answer.statusCode, { 'Content-Type': answer.contentType ?? 'text/plain' });
  response.end(answer.response);
});
await new Promise((done) => server.listen(0, '127.0.0.1', done));
const url = `http://127.0.0.1:${server.address().port}`;
const tlog = await initializeTLog(url, newKey());
const [fulcio, rekor] = [fulcioHandler(ca), rekorHandler(tlog)];

async function handle(request, body) {
  if (request.url === fulcio.path) return issue(request.headers.authorization ?? '', JSON.parse(body));
  if (request.url.replace(/\/$/, '') === rekor.path) return rekor.fn(JSON.stringify(recorded(JSON.parse(body))));
  return { statusCode: 404, response: request.url };
}

// The stand-in knows the token in the body alone, and a signing request as PEM.
async function issue(authorization, { certificateSigningRequest }) {
  const oidcIdentityToken = authorization.replace(/^Bearer /, '');
  const claims = JSON.parse(Buffer.from(oidcIdentityToken.split('.')[1] ?? '', 'base64url'));
  if (claims.iss !== issuer) {
    const message = `the issuer ${claims.iss} is not known`;
    return { statusCode: 400, response: JSON.stringify({ code: 3, message }), contentType: 'application/json' };
  }
  const request = Buffer.from(certificateSigningRequest, 'base64').toString();
  return fulcio.fn(JSON.stringify({ credentials: { oidcIdentityToken }, certificateSigningRequest: request }));
}

// What Rekor keeps of an envelope that is proposed to it: hashes of envelope and payload, and the signatures.
function recorded(entry) {
  if (entry.kind !== 'dsse') throw new Error(`no entry of kind ${entry.kind} is expected`);
  const { envelope, verifiers } = entry.spec.proposedContent;
  const { payload, signatures } = JSON.parse(envelope);
  const hash = (data) => ({ algorithm: 'sha256', value: sha256(data).toString('hex') });
  return {
    apiVersion: entry.apiVersion,
    kind: entry.kind,
    spec: {
      envelopeHash: hash(envelope),
      payloadHash: hash(Buffer.from(payload, 'base64')),
      signatures: signatures.map(({ sig }, index) => ({ signature: sig, verifier: verifiers[index] })),
    },
  };
}

const log = (publicKey) => ({
  baseUrl: url,
  hashAlgorithm: 'SHA2_256',
  publicKey: {
    rawBytes: publicKey.toString('base64'),
    keyDetails: 'PKIX_ECDSA_P256_SHA_256',
    validFor: { start },
  },
  logId: { keyId: sha256(publicKey).toString('base64') },
});
const service = { url, majorApiVersion: 1, validFor: { start }, operator: 'tests' };
const trust = {
  mediaType: 'application/vnd.dev.sigstore.clienttrustconfig.v0.1+json',
  trustedRoot: {
    mediaType: 'application/vnd.dev.sigstore.trustedroot+json;version=0.1',
    tlogs: [log(tlog.publicKey)],
    certificateAuthorities: [
      {
        subject: { organization: 'sigstore.mock', commonName: 'sigstore' },
        uri: url,
        certChain: { certificates: [{ rawBytes: ca.rootCertificate.toString('base64') }] },
        validFor: { start },
      },
    ],
    ctlogs: [log(ctlog.publicKey)],
    timestampAuthorities: [],
  },
  signingConfig: {
    mediaType: 'application/vnd.dev.sigstore.signingconfig.v0.2+json',
    caUrls: [service],
    oidcUrls: [],
    rekorTlogUrls: [service],
    rekorTlogConfig: { selector: 'ANY' },
    tsaUrls: [],
    tsaConfig: { selector: 'ANY' },
  },
};
console.log(JSON.stringify(trust));
