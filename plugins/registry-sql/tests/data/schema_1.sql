BEGIN TRANSACTION;
CREATE TABLE blob (
	tenant TEXT NOT NULL, 
	sha256 TEXT NOT NULL, 
	size INTEGER NOT NULL, 
	touched FLOAT NOT NULL, 
	PRIMARY KEY (tenant, sha256)
);
INSERT INTO "blob" VALUES('acme','9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c',7,1.79575116467198872571e+09);
INSERT INTO "blob" VALUES('acme','52367a6622b19f08825e915fad80c542ad4f4c34dbcebad9f5007994b3e39208',9,1.79575116467400050165e+09);
CREATE TABLE blob_use (
	tenant TEXT NOT NULL, 
	sha256 TEXT NOT NULL, 
	holder TEXT NOT NULL, 
	PRIMARY KEY (tenant, sha256, holder), 
	FOREIGN KEY(tenant, sha256) REFERENCES blob (tenant, sha256)
);
INSERT INTO "blob_use" VALUES('acme','9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c','versions/m/2.0.0-rc.1');
INSERT INTO "blob_use" VALUES('acme','52367a6622b19f08825e915fad80c542ad4f4c34dbcebad9f5007994b3e39208','versions/m/2.0.0-rc.1');
CREATE TABLE journal_entry (
	tenant TEXT NOT NULL, 
	journal TEXT NOT NULL, 
	position INTEGER NOT NULL, 
	at TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	change TEXT NOT NULL, 
	state TEXT, 
	PRIMARY KEY (tenant, journal, position)
);
INSERT INTO "journal_entry" VALUES('acme','aliases/m/champion',1,'2024-05-01T12:30:15.123456Z','set','k','{"to":"1"}','{"version":"1"}');
CREATE TABLE lease (
	tenant TEXT NOT NULL, 
	name TEXT NOT NULL, 
	owner TEXT NOT NULL, 
	expires FLOAT NOT NULL, 
	PRIMARY KEY (tenant, name)
);
CREATE TABLE model (
	tenant TEXT NOT NULL, 
	name TEXT NOT NULL, 
	last_number INTEGER NOT NULL, 
	PRIMARY KEY (tenant, name)
);
INSERT INTO "model" VALUES('acme','m',1);
CREATE TABLE model_version (
	sequence INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	tenant TEXT NOT NULL, 
	model TEXT NOT NULL, 
	version TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	number INTEGER, 
	format TEXT NOT NULL, 
	run_id TEXT, 
	digest TEXT NOT NULL, 
	created TEXT NOT NULL, 
	retired INTEGER NOT NULL, 
	body TEXT NOT NULL, 
	UNIQUE (tenant, model, version), 
	UNIQUE (tenant, model, "key")
);
INSERT INTO "model_version" VALUES(1,'acme','m','2.0.0-rc.1','key 2.0.0-rc.1',NULL,'skops','run-7','308dfabfe302d65169086dbbe927704ed0b99ad3819ee1c25fecd5f224ee3b5b','2024-05-01T12:30:15.123456+00:00',0,'{"artifacts":{"reference":{"files":[{"blob":{"location":"","sha256":"52367a6622b19f08825e915fad80c542ad4f4c34dbcebad9f5007994b3e39208","size":9},"path":"reference.npy"}],"format":"npy","name":"reference","sha256":"52367a6622b19f08825e915fad80c542ad4f4c34dbcebad9f5007994b3e39208","size":9}},"created":"2024-05-01T12:30:15.123456Z","digest":"308dfabfe302d65169086dbbe927704ed0b99ad3819ee1c25fecd5f224ee3b5b","files":[{"blob":{"location":"","sha256":"9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c","size":7},"path":"model/weights.bin"},{"blob":{"location":"","sha256":"9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c","size":7},"path":"model/café.json"}],"format":"skops","key":"key 2.0.0-rc.1","metadata":{"accuracy":0.95,"exact":1152921504606846976,"nested":{"β":[1,2.5,null,{"x":"y"}]},"note":"zażółć gęślą jaźń 模型 🚂 ‏ \u0000 ''quoted'' \"twice\" \\ \n","nothing":null,"trained":true},"model":"m","number":null,"parents":[{"digest":"0000000000000000000000000000000000000000000000000000000000000000","kind":"model","name":"m:1.0.0"},{"digest":"1111111111111111111111111111111111111111111111111111111111111111","kind":"data","name":"flights 2013"},{"digest":"","kind":"code","name":"git abc"}],"retired":false,"run_id":"run-7","schema":{"inputs":[{"dtype":"float64","name":"x","nullable":false,"shape":[3]},{"dtype":"str","name":"名前","nullable":true,"shape":[]}],"outputs":[{"dtype":"int64","name":"y","nullable":false,"shape":[]}]},"tenant":"acme","version":"2.0.0-rc.1"}');
INSERT INTO "model_version" VALUES(2,'acme','m','1','key 1',1,'',NULL,'7d4cb6aa18aa1d370df34ae4cd88bd55494779745a1fcae53004d4b2cbd77b52','2024-05-01T12:30:15.123456+00:00',0,'{"artifacts":{},"created":"2024-05-01T12:30:15.123456Z","digest":"7d4cb6aa18aa1d370df34ae4cd88bd55494779745a1fcae53004d4b2cbd77b52","files":[],"format":"","key":"key 1","metadata":{"accuracy":0.9},"model":"m","number":1,"parents":[],"retired":false,"run_id":null,"schema":null,"tenant":"acme","version":"1"}');
CREATE TABLE registry_info (
	name TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "registry_info" VALUES('schema','1');
CREATE TABLE version_field (
	tenant TEXT NOT NULL, 
	model TEXT NOT NULL, 
	version TEXT NOT NULL, 
	name TEXT NOT NULL, 
	number FLOAT, 
	text TEXT, 
	PRIMARY KEY (tenant, model, version, name), 
	FOREIGN KEY(tenant, model, version) REFERENCES model_version (tenant, model, version)
);
INSERT INTO "version_field" VALUES('acme','m','2.0.0-rc.1','metadata.accuracy',0.95,NULL);
INSERT INTO "version_field" VALUES('acme','m','2.0.0-rc.1','metadata.exact',1.15292150460684697597e+18,NULL);
INSERT INTO "version_field" VALUES('acme','m','2.0.0-rc.1','metadata.trained',1.0,NULL);
INSERT INTO "version_field" VALUES('acme','m','2.0.0-rc.1','metadata.note',NULL,'zażółć gęślą jaźń 模型 🚂 ‏ ');
INSERT INTO "version_field" VALUES('acme','m','2.0.0-rc.1','parents.model.m:1.0.0',NULL,'0000000000000000000000000000000000000000000000000000000000000000');
INSERT INTO "version_field" VALUES('acme','m','2.0.0-rc.1','parents.data.flights 2013',NULL,'1111111111111111111111111111111111111111111111111111111111111111');
INSERT INTO "version_field" VALUES('acme','m','2.0.0-rc.1','parents.code.git abc',NULL,'');
INSERT INTO "version_field" VALUES('acme','m','1','metadata.accuracy',0.9,NULL);
CREATE INDEX model_version_by_age ON model_version (tenant, retired, sequence);
CREATE INDEX model_version_by_time ON model_version (tenant, retired, model, created DESC, sequence);
CREATE INDEX model_version_by_model ON model_version (tenant, retired, model, sequence);
CREATE INDEX journal_entry_by_key ON journal_entry (tenant, journal, "key");
CREATE INDEX version_field_by_number ON version_field (tenant, name, number);
CREATE INDEX version_field_by_text ON version_field (tenant, name, text);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('model_version',2);
COMMIT;
