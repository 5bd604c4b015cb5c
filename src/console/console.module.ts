import { Module } from '@nestjs/common';
import { ConsoleController } from './console.controller.js';
import { ConsoleFiles } from './console-files.js';

/** The web console: files that a browser makes an application of. All it knows it asks for at the public routes. */
@Module({ providers: [ConsoleFiles], controllers: [ConsoleController] })
export class ConsoleModule {}
