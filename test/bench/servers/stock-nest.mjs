// What `nest new` gives: Express with its defaults, a controller over a Map. Decorators are applied by hand, so that
// this file needs no compiler.
import 'reflect-metadata';
import { Controller, Get, Module, Query, Res } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';

const store = new Map();

class AppController {
  get(key) {
    return { [key]: store.get(key) };
  }

  set(query, response) {
    const [[key, value]] = Object.entries(query);
    response.status(store.has(key) ? 200 : 201);
    store.set(key, value);
    return { [key]: value };
  }
}

function decorate(name, parameters, decorator) {
  parameters.forEach((parameter, index) => parameter(AppController.prototype, name, index));
  decorator(AppController.prototype, name, Object.getOwnPropertyDescriptor(AppController.prototype, name));
}

decorate('get', [Query('key')], Get('get'));
decorate('set', [Query(), Res({ passthrough: true })], Get('set'));
Controller()(AppController);

class AppModule {}
Module({ controllers: [AppController] })(AppModule);

const app = await NestFactory.create(AppModule, { logger: false });
await app.listen(Number(process.env.PORT), '127.0.0.1');
