import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Operation',
            fields=[
                ('id', models.UUIDField(editable=False, primary_key=True, serialize=False, verbose_name='operation')),
                ('verb', models.CharField(max_length=50, verbose_name='verb')),
                ('model', models.CharField(max_length=200, verbose_name='model')),
                ('moment', models.DateTimeField(db_index=True, verbose_name='moment')),
                ('reason', models.TextField(null=True, verbose_name='reason')),
                ('correlation_id', models.CharField(db_index=True, max_length=128, null=True, verbose_name='correlation')),
                ('added', models.PositiveIntegerField(default=0, verbose_name='added')),
                ('changed', models.PositiveIntegerField(default=0, verbose_name='changed')),
                ('deleted', models.PositiveIntegerField(default=0, verbose_name='deleted')),
                ('restored', models.PositiveIntegerField(default=0, verbose_name='restored')),
                ('duration', models.DurationField(help_text='From its start to the moment before its commit.', verbose_name='duration')),
                ('user', models.ForeignKey(db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='user')),
            ],
            options={
                'verbose_name': 'operation',
                'verbose_name_plural': 'operations',
                'ordering': ('-id',),
                'default_permissions': ('view',),
            },
        ),
    ]
