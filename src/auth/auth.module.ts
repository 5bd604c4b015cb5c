import { Module } from '@nestjs/common';
import { HttpModule } from '../http/http.module.js';
import { StorageModule } from '../storage/storage.module.js';
import { AccessGuard } from './access-guard.js';
import { Authenticator } from './authenticator.js';
import { Tokens } from './tokens.js';
import { TokensController } from './tokens.controller.js';

/** Who may do what: tokens, and the guard that asks for them. */
@Module({
  imports: [StorageModule, HttpModule],
  providers: [Authenticator, AccessGuard, Tokens],
  controllers: [TokensController],
  exports: [Authenticator, AccessGuard, Tokens],
})
export class AuthModule {}
