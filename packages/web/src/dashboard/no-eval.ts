import { config } from 'zod';

// Zod makes code out of schemas where it may, and finds out whether it may by trying. The pages' policy
// forbids it, and browsers would report the try. This has to come before any schema is made.
config({ jitless: true });
